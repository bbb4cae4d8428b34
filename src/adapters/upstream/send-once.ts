import type { Dispatcher } from 'undici';
import { LIMITS } from '../../core/limits.ts';

/** How far one request came. `sent` is set just before its first byte goes to a socket, never after. */
export type Passage = { sent: boolean };

/** The sender no longer wanted to send once the connection stood. */
export class Withheld extends Error {}

/** The other side announces an answer again and again and never gives it. */
export class EndlessHead extends Error {}

class SentBefore extends Error {}

/**
 * Stands between undici and the socket. undici announces a request in the same turn in which it writes it, after the name was resolved and TCP and TLS
 * stand: here, and no earlier, the sender is asked whether it may still be sent, and with `no` not even the head is written. (A body that undici pulls
 * would be asked later by microtasks only, needs a length of its own, and says nothing of requests without a body.) undici may announce a request twice
 * when it dispatches it again; the second time is refused, because the first may have spent the token.
 */
export function sendOnce({
  mayStillSend,
  passage,
}: {
  readonly mayStillSend: () => boolean;
  readonly passage: Passage;
}): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    let interim = 0;
    return dispatch(options, {
      onRequestStart: (controller, context) => {
        if (passage.sent) return controller.abort(new SentBefore());
        if (!mayStillSend()) return controller.abort(new Withheld());
        handler.onRequestStart?.(controller, context);
        // The request's own signal may have ended it while it waited for its connection.
        passage.sent = !controller.aborted;
      },
      onResponseStart: (controller, status, ...rest) => {
        if (status < 200) interim += 1;
        // Each of them makes undici begin its wait for the head anew.
        if (interim > LIMITS.interimRepliesMax) return controller.abort(new EndlessHead());
        handler.onResponseStart?.(controller, status, ...rest);
      },
      onResponseData: (...args) => handler.onResponseData?.(...args),
      onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
      onResponseError: (...args) => handler.onResponseError?.(...args),
    });
  };
}
