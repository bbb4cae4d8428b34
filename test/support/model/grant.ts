import type { PageStream } from '../../../src/core/ports/upstream.ts';
import { Secret } from '../../../src/core/secret.ts';
import type { TokenReply } from '../../../src/core/token-outcome.ts';
import type { WholePage } from '../whole-page.ts';
import type { Verdict } from './authorization-server.ts';

/** A token endpoint's reply to a verdict, as the real adapter reads it. `tellsEnd`: whether it names when the refresh token ends. */
export function replyOf({
  verdict,
  tellsEnd = true,
}: {
  readonly verdict: Verdict;
  readonly tellsEnd?: boolean;
}): TokenReply {
  if (verdict.kind === 'refused') {
    return { kind: 'reply', status: 400, oauthCode: 'invalid_grant', grant: null, retryAfterMs: null };
  }
  const { pair, terms } = verdict;
  const lifetimeMs = terms.refreshLifetimeMs;
  return {
    kind: 'reply',
    status: 200,
    oauthCode: null,
    retryAfterMs: null,
    grant: {
      accessToken: new Secret(pair.access),
      refreshToken: terms.policy === 'non_rotating' ? null : new Secret(pair.refresh),
      accessLifetimeMs: terms.accessLifetimeMs,
      refreshEnd: tellsEnd && lifetimeMs !== null ? { kind: 'after', lifetimeMs } : { kind: 'unknown' },
      authorizationEndsInMs: null,
      accessGrantEndsAt: terms.endsAt,
      patient: null,
      endpoint: null,
    },
  };
}

const PAGE = Buffer.from(
  '{"resourceType":"Bundle","type":"searchset","total":1,"entry":[{"resource":{"resourceType":"Patient","id":"p"}}]}',
);

export function pageOf(accepted: boolean): WholePage {
  return accepted ? { kind: 'page', bytes: PAGE } : { kind: 'token_rejected' };
}

/** The same page as it would arrive, in one piece. */
export function streamOf(page: WholePage): PageStream {
  return page.kind === 'page' ? { kind: 'page', status: 200, chunks: once(page.bytes), cancel: () => {} } : page;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
