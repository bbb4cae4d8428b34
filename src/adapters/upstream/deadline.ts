import { LIMITS } from '../../core/limits.ts';

/** A deadline that has begun to run. `clear` when what it bounds has ended. */
export type Deadline = { readonly signal: AbortSignal; readonly clear: () => void };

/**
 * Aborts after `deadlineMs`, and not before the event loop has looked at its sockets once more. A process that was frozen past a deadline finds its timers
 * due first and its sockets second: `AbortSignal.timeout` then threw away answers that had been there all the time, and with them the only copy of
 * a next refresh token (seen: frozen for 17 s, an authorization was lost that a freeze of 10 s had not hurt).
 */
export function startDeadline(deadlineMs: number): Deadline {
  const late = new AbortController();
  const abort = () => late.abort(new DOMException('too late', 'TimeoutError'));
  let timer = setTimeout(() => {
    timer = setTimeout(abort, LIMITS.lastLookMs);
  }, deadlineMs);
  return { signal: late.signal, clear: () => clearTimeout(timer) };
}
