import type { Ends } from '../../core/authorization.ts';
import { decideRefresh } from '../../core/decide-refresh.ts';
import { LIMITS } from '../../core/limits.ts';
import { retryAfterMs } from '../../core/retry.ts';
import { PURPOSES } from './random.ts';
import { DELAYS, periodAt, TROUBLES } from './state.ts';
import { draw, type Turn } from './turn.ts';
import { refreshAnswer } from './upstream.ts';
import type { Wait } from './waits.ts';

export type TokenOutcome =
  /** `later` is set where a refresh has failed and the token in hand still serves. */
  | { readonly kind: 'token'; readonly later: Wait | null }
  | { readonly kind: 'none'; readonly wait: Wait }
  | { readonly kind: 'dead' };

const IN_HAND: TokenOutcome = { kind: 'token', later: null };

/** An access token that lasts until the next slot, as `flows/refresh.ts` gets it. */
export function getToken(turn: Turn): TokenOutcome {
  const { group, member, endpoint, seen, slot } = turn;
  const { members } = group;
  const refreshExpiresAt = members.refreshExpiresAt[member] ?? 0;
  const ends: Ends = { refreshToken: refreshExpiresAt, maxAuthorization: null, accessGrant: null, consent: null };
  const decision = decideRefresh({
    tokens: {
      version: 1,
      hasRefreshToken: true,
      accessExpiresAt: members.accessExpiresAt[member] ?? 0,
      accessLifetimeMs: endpoint.accessLifetimeMs,
      refreshExpiresAt,
    },
    attempt: 'none',
    trouble: troubleOf(turn),
    rejected: false,
    doubtedVersion: null,
    neededUntil: slot,
    ends,
    now: seen,
  });
  switch (decision.kind) {
    case 'use':
      return IN_HAND;
    case 'dead':
      return decision;
    case 'wait':
      return meanwhile(turn, { ms: decision.until - seen, trouble: troubleOf(turn)?.kind ?? 'outage' });
    case 'refresh':
    case 'recover': {
      const { tokensAway } = turn;
      if (tokensAway === null) return refresh(turn);
      return meanwhile(turn, {
        ms: tokensAway.forMs,
        trouble: tokensAway.reason === 'throttled' ? 'throttled' : 'outage',
      });
    }
  }
}

function refresh(turn: Turn): TokenOutcome {
  const { group, member, endpoint, seen } = turn;
  const { members, figures } = group;
  const answer = refreshAnswer(turn);
  if (answer.kind === 'refused') return { kind: 'dead' };
  if (answer.kind === 'granted') {
    figures.networks[endpoint.network].refreshes += 1;
    members.accessExpiresAt[member] = seen + endpoint.accessLifetimeMs;
    members.refreshExpiresAt[member] = seen + endpoint.refreshLifetimeMs;
    members.periodMs[member] = periodAt(endpoint);
    members.trouble[member] = 0;
    return IN_HAND;
  }
  const wanted = retryAfterMs({
    trouble: answer.trouble,
    hintMs: answer.hintMs,
    failures: members.failedRuns[member] ?? 0,
    random: draw({ group, member, purpose: PURPOSES.backoff }),
  });
  const ms = Math.min(wanted, LIMITS.retryAfterMaxMs);
  const standing = 1 + TROUBLES.indexOf(answer.trouble);
  if (members.trouble[member] !== standing) members.troubleSince[member] = seen;
  members.trouble[member] = standing;
  members.troubleUntil[member] = seen + ms;
  return meanwhile(turn, { ms, trouble: answer.trouble });
}

/** A token endpoint that is away does not keep the records waiting while the token in hand still serves. */
function meanwhile({ group, member, seen }: Turn, wait: Wait): TokenOutcome {
  group.members.delayed[member] = DELAYS.upstream;
  const serves = seen < (group.members.accessExpiresAt[member] ?? 0);
  return serves ? { kind: 'token', later: wait } : { kind: 'none', wait };
}

function troubleOf({ group: { members }, member }: Turn) {
  const kind = TROUBLES[(members.trouble[member] ?? 0) - 1];
  if (kind === undefined) return null;
  return { kind, since: members.troubleSince[member] ?? 0, until: members.troubleUntil[member] ?? 0 };
}
