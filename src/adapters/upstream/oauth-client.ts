import * as oauth from 'oauth4webapi';
import type { TokenKind } from '../../core/ports/upstream.ts';
import type { Secret } from '../../core/secret.ts';
import type { ClientAuthAt } from './client-auth.ts';
import type { Http, HttpReply } from './http.ts';
import { sendTokenRequest } from './token-request.ts';
import { isLoopbackUrl } from './urls.ts';

type Call = {
  readonly url: string;
  /** The audience of a signed assertion. */
  readonly tokenUrl: string;
  readonly token: Secret;
  readonly signal: AbortSignal;
};

/** The three calls of an OAuth client, each one request and its answer as it came. None rejects. */
export type OAuthClient = {
  readonly refresh: (call: Omit<Call, 'url'> & { readonly mayStillSend: () => boolean }) => Promise<HttpReply>;
  readonly introspect: (call: Call & { readonly of: TokenKind }) => Promise<HttpReply>;
  readonly revoke: (call: Call & { readonly of: TokenKind }) => Promise<HttpReply>;
};

/**
 * Requests are built by oauth4webapi (RFC 6749, 7009, 7662) and sent by our own HTTP. Answers are not given to it: real servers leave out `token_type` or
 * say `text/plain`, and its errors carry the tokens of an answer it does not like in `cause.body`.
 */
export function createOAuthClient({
  clientId,
  clientAuthAt,
  http,
}: {
  readonly clientId: string;
  readonly clientAuthAt: ClientAuthAt;
  readonly http: Http;
}): OAuthClient {
  const client: oauth.Client = { client_id: clientId };
  return {
    refresh: ({ tokenUrl, token, signal, mayStillSend }) =>
      carry({ http, url: tokenUrl, signal, mayStillSend }, (options) => {
        const server = { issuer: tokenUrl, token_endpoint: tokenUrl };
        return oauth.refreshTokenGrantRequest(server, client, clientAuthAt({ tokenUrl }), token.reveal(), options);
      }),
    introspect: ({ url, tokenUrl, token, of, signal }) =>
      carry({ http, url, signal }, (options) => {
        const server = { issuer: tokenUrl, introspection_endpoint: url };
        const hinted = { ...options, additionalParameters: { token_type_hint: of } };
        return oauth.introspectionRequest(server, client, clientAuthAt({ tokenUrl }), token.reveal(), hinted);
      }),
    revoke: ({ url, tokenUrl, token, of, signal }) =>
      carry({ http, url, signal }, (options) => {
        const server = { issuer: tokenUrl, revocation_endpoint: url };
        const hinted = { ...options, additionalParameters: { token_type_hint: of } };
        return oauth.revocationRequest(server, client, clientAuthAt({ tokenUrl }), token.reveal(), hinted);
      }),
  };
}

type Carrier = oauth.HttpRequestOptions<'POST', URLSearchParams>;

/** Has oauth4webapi build a request and gives what our HTTP says of it; the empty Response is all that the library sees of the answer. */
async function carry(
  {
    http,
    url,
    signal,
    mayStillSend,
  }: {
    readonly http: Http;
    readonly url: string;
    readonly signal: AbortSignal;
    readonly mayStillSend?: () => boolean;
  },
  request: (options: Carrier) => Promise<Response>,
): Promise<HttpReply> {
  let reply: HttpReply = { kind: 'none', reason: 'connection', sent: false };
  try {
    await request({
      // Whether this URL may be given a token was decided where it came from: by the settings or by discovery.
      [oauth.allowInsecureRequests]: isLoopbackUrl(url),
      [oauth.customFetch]: async (target, { method, headers, body }) => {
        reply = await sendTokenRequest({
          http,
          request: {
            method,
            url: target,
            headers: plainHeaders(headers),
            body: body.toString(),
            signal,
            ...may(mayStillSend),
          },
        });
        return new Response(null);
      },
    });
  } catch {
    // A token or a key with which no request can be built: nothing was sent, and what the library says of it may quote it.
  }
  return reply;
}

/** Without a charset, which this content type does not have and strict servers refuse; and with no name of the library. */
function plainHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return { ...headers, 'content-type': 'application/x-www-form-urlencoded', 'user-agent': 'perennial' };
}

function may(mayStillSend: (() => boolean) | undefined): { readonly mayStillSend?: () => boolean } {
  return mayStillSend === undefined ? {} : { mayStillSend };
}
