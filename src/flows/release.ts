import type { Authorization } from '../core/authorization.ts';
import { PerennialError } from '../core/errors.ts';
import { moveTo } from '../core/ports/store.ts';
import type { Context } from './context.ts';
import { withLease } from './lease.ts';
import { enqueueJobs } from './schedule.ts';
import { openTokens } from './token-vault.ts';

/**
 * An operator's word that a quarantined authorization may run again: it does so at once, with no crash on its account.
 * @throws PerennialError `not_quarantined`; `lease_taken` where somebody works on it just now.
 */
export async function release({
  context,
  authorization,
  actor,
}: {
  readonly context: Context;
  readonly authorization: Authorization;
  readonly actor: string;
}): Promise<Authorization> {
  const { store, clock, log } = context;
  const { id: authorizationId, state } = authorization;
  if (state !== 'quarantined') throw new PerennialError('not_quarantined');
  const to = (await waitsForExchange({ context, authorizationId })) ? 'pending' : 'active';
  const patch = {
    ...moveTo(to, 'released_by_operator'),
    nextRunAt: clock.now(),
    failedRuns: 0,
    lastError: null,
  } as const;
  const { signal } = new AbortController();
  const outcome = await withLease({ context, authorizationId, signal }, async ({ fence, survived }) => {
    const written = await store.update({ ...fence, patch, actor });
    if (written === 'committed') survived();
    return written;
  });
  if (outcome.kind === 'taken') throw new PerennialError('lease_taken');
  if (outcome.value === 'superseded') throw new PerennialError('superseded');
  const released = { ...authorization, ...patch };
  // Whether it is mended is seen by a pull, due or not.
  await enqueueJobs({ context, authorization: released, reason: 'asked_for' });
  log.info('released', { authorizationId, reason: 'released_by_operator', state: to });
  return released;
}

/** It was set aside before its public token was exchanged. */
async function waitsForExchange({
  context: { store, vault },
  authorizationId,
}: {
  readonly context: Context;
  readonly authorizationId: string;
}): Promise<boolean> {
  const [row, key] = await Promise.all([store.tokens(authorizationId), vault.open(authorizationId)]);
  return row !== null && openTokens({ key, row }).publicToken !== null;
}
