import type { Source } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';
import type { RefreshEnd } from '../../src/core/token-outcome.ts';

const EMPTY_BUNDLE = JSON.stringify({ resourceType: 'Bundle', type: 'searchset', total: 0, entry: [] });
const LIFETIME_MS = 24 * 3_600_000;

/** One refresh: whose it was, and when on the wall. */
export type Counted = { readonly id: string; readonly at: number };

/** A source in this process that grants every refresh, has no records, and counts. Its refresh tokens are `<id>/<number>`. */
export function countingSource({
  like,
  wallNow,
  refreshEnd = { kind: 'unknown' },
}: {
  /** What it is configured as. */
  readonly like: Source;
  readonly wallNow: () => number;
  /** What it says of each refresh token. */
  readonly refreshEnd?: RefreshEnd;
}): { readonly source: Source; readonly refreshes: readonly Counted[]; readonly pages: readonly number[] } {
  const refreshes: Counted[] = [];
  const pages: number[] = [];
  const source: Source = {
    ...like,
    refresh: async ({ refreshToken, mayStillSend }) => {
      if (!mayStillSend()) return { kind: 'no_reply', reason: 'withheld', sent: false };
      const [id = '', number = '0'] = refreshToken.reveal().split('/');
      refreshes.push({ id, at: wallNow() });
      const next = `${id}/${Number(number) + 1}`;
      const grant = {
        accessToken: new Secret(`access-${next}`),
        refreshToken: new Secret(next),
        accessLifetimeMs: LIFETIME_MS,
        refreshEnd,
        authorizationEndsInMs: null,
        accessGrantEndsAt: null,
        patient: null,
        endpoint: null,
      } as const;
      return { kind: 'reply', status: 200, oauthCode: null, grant, retryAfterMs: null };
    },
    streamPage: async () => {
      pages.push(wallNow());
      return { kind: 'page', status: 200, chunks: once(Buffer.from(EMPTY_BUNDLE)), cancel: () => undefined };
    },
    abilities: async () => null,
    introspect: async () => ({ kind: 'unknown' }),
    revoke: async () => 'unconfirmed',
  };
  return { source, refreshes, pages };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
