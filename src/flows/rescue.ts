import { isReadable, type StateReason } from '../core/authorization.ts';
import type { Instant } from '../core/clock.ts';
import { codeOf } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { moveTo, type SealedTokens } from '../core/ports/store.ts';
import { retentionOfLiving } from '../core/retention.ts';
import type { TokenGrant } from '../core/token-outcome.ts';
import { commitGrant } from './commit-grant.ts';
import { type Held, withLease } from './lease.ts';
import { createPatience } from './patience.ts';
import { enqueueJobs } from './schedule.ts';
import { openTokens } from './token-vault.ts';
import type { Work } from './work.ts';

/** The verdicts that a late reply proves wrong. */
const AMBIGUOUS: ReadonlySet<StateReason> = new Set(['ambiguous_refresh', 'ambiguous_exchange']);

type Late = {
  readonly work: Work;
  readonly grant: TokenGrant;
  readonly sentAt: Instant;
  readonly tokens: SealedTokens;
};

/**
 * Saves a pair that was granted to a holder who had lost the lease while its request was under way (a process that was frozen, a store that was away).
 * Whoever took over has either stored a newer pair, and then this one is dropped, or was refused because this one had been given out: then it is the
 * only living pair there is. So: take the lease anew, and if the token version has not moved, store it; an authorization that was condemned as
 * ambiguous meanwhile lives again. It waits for a sibling's run as long as the process lives, since a run may hold the lease for more than a minute.
 */
export async function rescueGrant(late: Late): Promise<'rescued' | 'dropped'> {
  const { context, authorization } = late.work;
  const { clock, log } = context;
  const authorizationId = authorization.id;
  const patience = createPatience(context);
  for (;;) {
    const outcome = await tryRescue(late);
    if (outcome !== 'not_yet') {
      if (outcome === 'dropped') log.error('late_grant', { authorizationId, outcome });
      else log.warn('late_grant', { authorizationId, outcome });
      return outcome === 'dropped' || outcome === 'overtaken' ? 'dropped' : 'rescued';
    }
    if (!patience.goesOn({ away: true })) break;
    await clock.sleep(LIMITS.commitRetryEveryMs);
  }
  log.error('late_grant', { authorizationId, outcome: 'given_up' });
  return 'dropped';
}

/** One try. A store that is away is asked again; a version that has moved needs no lease to be seen. */
async function tryRescue(late: Late): Promise<'rescued' | 'dropped' | 'overtaken' | 'not_yet'> {
  const { context, authorization } = late.work;
  const authorizationId = authorization.id;
  try {
    const stored = await context.store.tokens(authorizationId);
    if (stored === null) return await dropped(late);
    if (stored.version !== late.tokens.version) return 'overtaken';
    const signal = new AbortController().signal;
    const outcome = await withLease({ context, authorizationId, signal }, (held) => storeLate({ late, held }));
    return outcome.kind === 'held' ? outcome.value : 'not_yet';
  } catch (error) {
    if (codeOf(error) !== 'database_unreachable') throw error;
    return 'not_yet';
  }
}

async function storeLate({
  late,
  held,
}: {
  readonly late: Late;
  readonly held: Held;
}): Promise<'rescued' | 'dropped' | 'overtaken'> {
  const { work, grant, sentAt, tokens } = late;
  const { context } = work;
  const authorization = await context.store.get(work.authorization.id);
  const stored = await context.store.tokens(work.authorization.id);
  if (stored !== null && stored.version !== tokens.version) return 'overtaken';
  const now = context.clock.now();
  if (authorization === null || stored === null || !isReadable(authorization, now)) return dropped(late);
  const condemned = authorization.state === 'needs_reauthorization';
  if (condemned && !AMBIGUOUS.has(authorization.stateReason)) return dropped(late);
  // A pair out of an exchange begins a life; one out of a refresh goes on with it.
  const standing = { ...authorization, state: work.authorization.state };
  // An exchange decides the deadline itself.
  const retention = standing.state === 'pending' ? {} : retentionOfLiving(authorization);
  const alive = { ...moveTo('active', 'late_reply'), ...retention, nextRunAt: now, lastError: null };
  // Whoever took over may have offered the old token once more, and a source that punishes reuse kills this pair with it: the doubt stays with it.
  const unsureAt = Math.max(now, sentAt);
  const patched = { ...work, authorization: standing, held };
  const opened = openTokens({ key: work.key, row: tokens });
  const more = condemned ? alive : {};
  const committed = await commitGrant({ work: patched, grant, sentAt, unsureAt, tokens, opened, more });
  if (committed.kind === 'superseded') return dropped(late);
  const active = { ...authorization, ...committed.patch };
  if (authorization.state !== 'active') await enqueueJobs({ context, authorization: active, reason: 'repaired' });
  return 'rescued';
}

/** A pair that nobody will use is given back to the source, as far as it takes it: after a purge it would live on there. */
async function dropped({ work: { source }, grant }: Late): Promise<'dropped'> {
  if (source.revokeOnPurge) {
    const signal = AbortSignal.timeout(LIMITS.tokenRequestTimeoutMs);
    await source.revoke({ accessToken: grant.accessToken, refreshToken: grant.refreshToken, signal });
  }
  return 'dropped';
}
