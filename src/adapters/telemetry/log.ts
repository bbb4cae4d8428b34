import { pino } from 'pino';
import type { Log, LogFields } from '../../core/ports/telemetry.ts';

const limits = {
  /** Ids are at most 128 characters, codes and routes shorter; what is longer was not meant for a log. */
  textMaxChars: 256,
  /** Stack frames without messages: some ten lines. */
  framesMaxChars: 2_000,
} as const;

/** The allow-list. `satisfies` keeps it complete; what is not in it is never copied, whatever an object carries. */
const FIELDS = {
  authorizationId: true,
  source: true,
  network: true,
  endpointId: true,
  service: true,
  queue: true,
  job: true,
  outcome: true,
  state: true,
  reason: true,
  code: true,
  durationMs: true,
  count: true,
  added: true,
  modified: true,
  removed: true,
  pages: true,
  bytes: true,
  status: true,
  route: true,
  address: true,
  field: true,
  frames: true,
} satisfies Record<keyof LogFields, true>;

type LogLevel = 'silent' | 'error' | 'warn' | 'info';

/**
 * Logs JSON, one line an event: `{level, time, event, ...fields}`, time in ISO 8601 from `now` (milliseconds).
 * Only the fields of LogFields pass, only as strings (cut at a length) and finite numbers. Never throws for what it is given.
 */
export function createLog({
  level,
  destination,
  now,
}: {
  readonly level: LogLevel;
  readonly destination: { readonly write: (line: string) => unknown };
  readonly now: () => number;
}): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write: (line) => {
        destination.write(line);
      },
    },
  );
  return {
    info: (event, fields) => logger.info(lineOf(event, fields)),
    warn: (event, fields) => logger.warn(lineOf(event, fields)),
    error: (event, fields) => logger.error(lineOf(event, fields)),
  };
}

function lineOf(event: string, fields: LogFields | undefined): Record<string, string | number> {
  const line: Record<string, string | number> = { event: event.slice(0, limits.textMaxChars) };
  if (fields === undefined) return line;
  for (const name of Object.keys(FIELDS)) {
    const value: unknown = Object.hasOwn(fields, name) ? Reflect.get(fields, name) : undefined;
    if (typeof value === 'number' && Number.isFinite(value)) line[name] = value;
    if (typeof value === 'string') {
      line[name] = value.slice(0, name === 'frames' ? limits.framesMaxChars : limits.textMaxChars);
    }
  }
  return line;
}
