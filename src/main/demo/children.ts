import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { PerennialError } from '../../core/errors.ts';

/** The embedded database is made anew for each demo: some 7 s here, more on a busy machine. */
const START_CAP_MS = 60_000;
const STOP_CAP_MS = 25_000;
/** What of a child's log is shown when it fails. */
const KEPT_LINES = 12;

export type Child = {
  /** Resolves with the first match of a line of its output. @throws PerennialError when it ends before or takes too long. */
  readonly line: (pattern: RegExp) => Promise<string>;
  readonly lines: () => readonly string[];
  readonly stop: () => Promise<void>;
};

/** Runs one of our own commands as a process of its own, just as an operator would. */
export function startChild({
  args,
  env,
}: {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}): Child {
  const [, entry] = process.argv;
  if (entry === undefined) throw new PerennialError('internal');
  const child = spawn(process.execPath, [entry, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const kept: string[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    kept.push(line);
    for (const look of waiting) look();
  });
  return {
    lines: () => kept,
    line: (pattern) => firstMatch({ child, kept, waiting, pattern }),
    stop: () => stop(child),
  };
}

async function firstMatch({
  child,
  kept,
  waiting,
  pattern,
}: {
  readonly child: ChildProcess;
  readonly kept: readonly string[];
  readonly waiting: Set<() => void>;
  readonly pattern: RegExp;
}): Promise<string> {
  const found = Promise.withResolvers<string>();
  const look = (): void => {
    for (const line of kept) {
      const match = pattern.exec(line)?.[1];
      if (match !== undefined) found.resolve(match);
    }
  };
  const failed = (): void => {
    process.stderr.write(`${kept.slice(-KEPT_LINES).join('\n')}\n`);
    found.reject(new PerennialError('internal', { field: 'a process of the demo did not start' }));
  };
  const timer = setTimeout(failed, START_CAP_MS);
  child.once('exit', failed);
  waiting.add(look);
  look();
  try {
    return await found.promise;
  } finally {
    clearTimeout(timer);
    waiting.delete(look);
    child.off('exit', failed);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_CAP_MS);
  await ended;
  clearTimeout(timer);
}
