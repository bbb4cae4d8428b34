import { codeOf, ERRORS } from '../core/errors.ts';

export const FAILED_EXIT = 1;
const EVENTS = ['uncaughtException', 'unhandledRejection'] as const;

/**
 * What becomes of errors that nobody caught, in every command and from its first line: Node itself would print message, causes, stack and the line of source,
 * and an error may quote a token or a record in any of them. One constant line is printed and the process ends with 1.
 */
export const lastResort = {
  install: (): void => {
    for (const event of EVENTS) process.on(event, end);
  },
  /** For a process that has something to close first. */
  uninstall: (): void => {
    for (const event of EVENTS) process.off(event, end);
  },
};

function end(error: unknown): void {
  const code = codeOf(error);
  try {
    process.stderr.write(`perennial: ${code}: ${ERRORS[code].message}\n`);
  } finally {
    process.exit(FAILED_EXIT);
  }
}
