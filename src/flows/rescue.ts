import type { StateReason } from '../core/authorization.ts';
import type { Instant } from '../core/clock.ts';
import { LIMITS } from '../core/limits.ts';
import { moveTo, type SealedTokens } from '../core/ports/store.ts';
import type { TokenGrant } from '../core/token-outcome.ts';
import { commitGrant } from './commit-grant.ts';
import { type Held, withLease } from './lease.ts';
import { enqueueJobs } from './schedule.ts';
import type { Work } from './work.ts';

/** The verdicts that a late reply proves wrong. */
const AMBIGUOUS: ReadonlySet<StateReason> = new Set(['ambiguous_refresh', 'ambiguous_exchange']);

/**
 * Saves a pair that was granted to a holder who had lost the lease while its request was under way (a process that was frozen, a store that was away).
 * Whoever took over has either stored a newer pair, and then this one is dropped, or was refused because this one had been given out: then it is the
 * only living pair there is. So: take the lease anew, and if the token version has not moved, store it; an authorization that was condemned as
 * ambiguous meanwhile lives again.
 */
export async function rescueGrant({
  work,
  grant,
  sentAt,
  tokens,
}: {
  readonly work: Work;
  readonly grant: TokenGrant;
  readonly sentAt: Instant;
  readonly tokens: SealedTokens;
}): Promise<'rescued' | 'dropped'> {
  const { context } = work;
  const { clock, log } = context;
  const authorizationId = work.authorization.id;
  const since = clock.stopwatch();
  // Bounded by the commit's own patience: by then a live sibling has ended one way or the other.
  while (since() < LIMITS.commitRetryForMs) {
    const signal = new AbortController().signal;
    const outcome = await withLease({ context, authorizationId, signal }, async (held) => {
      const authorization = await context.store.get(authorizationId);
      const stored = await context.store.tokens(authorizationId);
      if (authorization === null || stored === null || stored.version !== tokens.version) return 'dropped';
      const condemned = authorization.state === 'needs_reauthorization';
      if (condemned && !AMBIGUOUS.has(authorization.stateReason)) return 'dropped';
      // A pair out of an exchange begins a life; one out of a refresh goes on with it.
      const standing = { ...authorization, state: work.authorization.state };
      const late = condemned ? { ...moveTo('active', 'late_reply'), nextRunAt: clock.now(), lastError: null } : {};
      const patched = { work: { ...work, authorization: standing, held }, grant, sentAt, tokens, more: late };
      const committed = await commitGrant(patched);
      if (committed.kind === 'superseded') return 'dropped';
      if (condemned) await keepDoubt({ work, held, tokenVersion: committed.tokens.version, at: sentAt });
      const active = { ...authorization, ...committed.patch };
      if (authorization.state !== 'active') await enqueueJobs({ context, authorization: active, reason: 'repaired' });
      return 'rescued';
    });
    if (outcome.kind === 'held') {
      log.warn('late_grant', { authorizationId, outcome: outcome.value });
      return outcome.value;
    }
    await clock.sleep(LIMITS.leaseTakenRetryMs / 2);
  }
  return 'dropped';
}

/**
 * Whoever took over offered the old token once more, and a source that punishes reuse has killed this pair with it. So the doubt stays until the next grant:
 * the next run refreshes at once, and a refusal then is called ambiguous and not the patient's revocation.
 */
async function keepDoubt({
  work: { context, authorization },
  held,
  tokenVersion,
  at,
}: {
  readonly work: Work;
  readonly held: Held;
  readonly tokenVersion: number;
  readonly at: Instant;
}): Promise<void> {
  const intent = {
    authorizationId: authorization.id,
    kind: 'refresh',
    attemptId: context.entropy.id(),
    tokenVersion,
    startedAt: at,
    unsure: true,
    parked: true,
    unclearSince: null,
  } as const;
  const lease = { owner: context.owner, leaseMs: LIMITS.leaseMs };
  await context.store.openIntent({ ...held.fence, intent, lease });
}
