import { LIMITS } from '../../core/limits.ts';
import type { Http, HttpReply, HttpRequest } from './http.ts';

export type TokenRequest = Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body' | 'signal' | 'mayStillSend'>;

/** One call of an authorization server's endpoint, within the limits of such calls. */
export function sendTokenRequest({
  http,
  request,
}: {
  readonly http: Http;
  readonly request: TokenRequest;
}): Promise<HttpReply> {
  return http.send({
    ...request,
    maxBytes: LIMITS.tokenReplyMaxBytes,
    headersTimeoutMs: LIMITS.tokenRequestTimeoutMs,
    deadlineMs: LIMITS.tokenRequestTimeoutMs,
  });
}
