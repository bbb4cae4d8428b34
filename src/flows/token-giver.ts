import { leadMs } from '../core/cadence.ts';
import type { Instant } from '../core/clock.ts';
import type { TokenGiver } from './pull.ts';
import { type AccessOutcome, ensureAccessToken } from './refresh.ts';
import type { Work } from './work.ts';

type Given = Extract<AccessOutcome, { readonly kind: 'token' }>;

/**
 * Gives a pull its access token, page by page: the one it has while that is valid, a refreshed one when it ends in mid-pull
 * (peers, F-5) or when the source has refused it. `lost()` tells why none could be given.
 */
export function createTokenGiver({
  work,
  first,
  neededUntil,
}: {
  readonly work: Work;
  readonly first: Given;
  readonly neededUntil: Instant;
}): { readonly give: TokenGiver; readonly lost: () => Exclude<AccessOutcome, Given> | null } {
  let current = first;
  let lost: Exclude<AccessOutcome, Given> | null = null;
  return {
    give: async ({ rejected }) => {
      const { accessExpiresAt, accessLifetimeMs, hasRefreshToken } = current.tokens;
      const ending = hasRefreshToken && work.context.clock.now() + leadMs(accessLifetimeMs) / 2 > accessExpiresAt;
      if (!rejected && !ending) return current.accessToken;
      const outcome = await ensureAccessToken({ ...work, neededUntil, rejected });
      if (outcome.kind !== 'token') {
        lost = outcome;
        return null;
      }
      current = outcome;
      return current.accessToken;
    },
    lost: () => lost,
  };
}
