import { type ErrorCode, PerennialError } from '../../core/errors.ts';

/** Of the socket, as Node names them. */
const UNREACHABLE_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
]);

/** SQLSTATEs with which a server says that it is not there for us: refused, full, shutting down, too slow, read-only after a failover. */
const UNREACHABLE_STATES = /^(?:08|28|53|57P0)|^(?:3D000|57014|25006|25P03)$/;

/** What pg and its pool say without a code. Read here and dropped here. */
const UNREACHABLE_TEXTS =
  /^(?:Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client (?:was closed|has encountered)|Cannot use a pool after)/;

/**
 * Our error for whatever the database library threw. Nothing of the original goes along: its message and detail may quote parameters.
 */
export function failureOf(error: unknown): PerennialError {
  if (error instanceof PerennialError) return error;
  return new PerennialError(codeOf(error));
}

function codeOf(error: unknown): ErrorCode {
  if (!(error instanceof Error)) return 'internal';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
  if (code !== null) {
    return UNREACHABLE_CODES.has(code) || UNREACHABLE_STATES.test(code) ? 'database_unreachable' : 'internal';
  }
  return UNREACHABLE_TEXTS.test(error.message) ? 'database_unreachable' : 'internal';
}
