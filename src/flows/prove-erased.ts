import type { Authorization } from '../core/authorization.ts';
import type { Fence, Receipt } from '../core/ports/store.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import type { Erased } from './erase.ts';

type Proof = { readonly kind: 'purged'; readonly reason: string } | { readonly kind: 'superseded' | 'not_gone' };
type Looking = { readonly context: Context; readonly authorizationId: string };

/**
 * Sweeps what the queue still names, looks at every place on its own whether anything is left, and writes the receipt if nothing is. A job that a worker
 * holds at this moment is something that is left: whoever calls comes again when it has ended.
 */
export async function proveErased({
  context,
  fence,
  authorization,
  erased: { deleted, upstream },
}: {
  readonly context: Context;
  readonly fence: Fence;
  readonly authorization: Authorization;
  readonly erased: Erased;
}): Promise<Proof> {
  const { store, queue, clock, log, metrics } = context;
  const { authorizationId } = fence;
  const swept = await queue.sweep(authorizationId);
  const findings = await findingsOf({ context, authorizationId });
  if (findings === null) {
    if (swept.jobs + swept.events > 0) await store.noteSwept({ ...fence, ...swept });
    return { kind: 'not_gone' };
  }
  const reason = authorization.purgeReason ?? 'retention';
  const { source, network, usage, acceptedAt, purgeDueAt: dueAt } = authorization;
  const purgedAt = clock.now();
  const receipt = {
    ...{ authorizationId, source, network, usage, acceptedAt, dueAt, purgedAt, reason, findings },
    deleted: { ...deleted, jobs: deleted.jobs + swept.jobs, queueEvents: deleted.queueEvents + swept.events },
    upstream,
  };
  if ((await store.finishPurge({ ...fence, receipt, actor: WORKER_ACTOR })) === 'superseded')
    return { kind: 'superseded' };
  const lagMs = dueAt === null ? 0 : Math.max(0, clock.toWallMs(purgedAt - dueAt));
  metrics.purge({ reason, lagMs });
  log.info('purged', { authorizationId, reason, durationMs: lagMs });
  return { kind: 'purged', reason };
}

/** What the verifier saw; null when something is left, and what it is stands in the log. */
async function findingsOf({ context, authorizationId }: Looking): Promise<Receipt['findings'] | null> {
  const { store, vault, queue, log } = context;
  const [key, rows, named] = await Promise.all([
    vault.has(authorizationId),
    store.leftOf(authorizationId),
    queue.traces(authorizationId),
  ]);
  const left = Object.entries({ key, tokens: rows.tokens > 0, records: rows.records > 0, queue: named > 0 });
  const found = left.filter(([, there]) => there).map(([place]) => place);
  if (found.length === 0) return { key: 'gone', tokens: 'gone', records: 'gone', queue: 'gone' };
  // A job that is just ending is still in the queue and no fault; everything else is.
  const tell = found.length === 1 && named > 0 ? log.info : log.error;
  tell('not_gone_yet', { authorizationId, field: found.join('+'), count: named });
  return null;
}
