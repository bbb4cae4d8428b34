import { leadMs } from '../core/cadence.ts';
import type { Instant } from '../core/clock.ts';
import type { TokenGiver } from './reading.ts';
import { type AccessOutcome, ensureAccessToken, type GivenToken } from './refresh.ts';
import type { Work } from './work.ts';

/**
 * Gives a pull its access token, page by page: the one it has while that is valid, a refreshed one when it ends in mid-pull
 * (peers, F-5) or when the source has refused it. `lost()` tells why none could be given.
 */
export function createTokenGiver({
  work,
  first,
  neededUntil,
  refreshFails = false,
}: {
  readonly work: Work;
  readonly first: GivenToken;
  readonly neededUntil: Instant;
  /** A refresh has failed just now: the token in hand serves to its end, and no page tries again. */
  readonly refreshFails?: boolean;
}): { readonly give: TokenGiver; readonly lost: () => Exclude<AccessOutcome, GivenToken> | null } {
  let current = first;
  let inVain = refreshFails;
  let lost: Exclude<AccessOutcome, GivenToken> | null = null;
  return {
    give: async ({ rejected }) => {
      const { accessExpiresAt, accessLifetimeMs, hasRefreshToken } = current.tokens;
      const ending = hasRefreshToken && work.context.clock.now() + leadMs(accessLifetimeMs) / 2 > accessExpiresAt;
      const over = hasRefreshToken && work.context.clock.now() >= accessExpiresAt;
      if (!rejected && !over && (!ending || inVain)) return current.accessToken;
      const outcome = await ensureAccessToken({ ...work, neededUntil, rejected });
      if (outcome.kind === 'later' && outcome.meanwhile !== null) {
        inVain = true;
        return outcome.meanwhile.accessToken;
      }
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
