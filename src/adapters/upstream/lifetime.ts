import { errors } from 'undici';
import { startDeadline } from './deadline.ts';

/** Why we ended an exchange ourselves. */
export type Ended = 'cancelled' | 'timeout';

/** The life of one exchange, from its first byte to the last one read: whoever ends it first says why. */
export type Lifetime = {
  /** For undici, which closes the connection of an exchange that has not run to its end. */
  readonly signal: AbortSignal;
  /** Rejects with the end, at once. undici looks at a signal only once it has a connection, and a hanging TLS handshake would outlast it by seconds. */
  readonly over: Promise<never>;
  readonly ended: () => Ended | null;
  readonly end: (why: Ended) => void;
  /** The exchange has run to its end: no timer and no listener of it stays. */
  readonly forget: () => void;
};

/** Opens a life that `signal` or the deadline ends. */
export function createLifetime({
  signal: caller,
  deadlineMs,
}: {
  readonly signal: AbortSignal;
  readonly deadlineMs: number | null;
}): Lifetime {
  const controller = new AbortController();
  const { promise: over, reject } = Promise.withResolvers<never>();
  // Nobody waits for it any more once the head of the answer is there.
  over.catch(() => {});
  let ended: Ended | null = null;
  const deadline = deadlineMs === null ? null : startDeadline(deadlineMs);
  const cancel = () => end('cancelled');
  const expire = () => end('timeout');
  const forget = () => {
    deadline?.clear();
    deadline?.signal.removeEventListener('abort', expire);
    caller.removeEventListener('abort', cancel);
  };
  const end = (why: Ended) => {
    if (ended !== null) return;
    ended = why;
    forget();
    const error = new errors.RequestAbortedError();
    controller.abort(error);
    reject(error);
  };
  deadline?.signal.addEventListener('abort', expire, { once: true });
  if (caller.aborted) cancel();
  else caller.addEventListener('abort', cancel, { once: true });
  return { signal: controller.signal, over, ended: () => ended, end, forget };
}
