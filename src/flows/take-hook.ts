import type { Instant } from '../core/clock.ts';
import { codeOf, PerennialError } from '../core/errors.ts';
import type { HookEvent } from '../core/ports/upstream.ts';
import { bringRun } from './bring-run.ts';
import type { Context } from './context.ts';

/** What an event says of the authorizations that it means, as far as a run looks into it. */
const TELLS = {
  sync_completed: 'news',
  refresh_expired: 'doubt',
  sync_failed: null,
  endpoint_status_changed: null,
  unknown: null,
} as const satisfies Record<HookEvent['kind'], 'news' | 'doubt' | null>;

type Taking = Pick<Context, 'sources' | 'clock' | 'log' | 'metrics'> & {
  readonly store: Pick<Context['store'], 'takeHook' | 'awaitsRun'>;
  readonly queue: Pick<Context['queue'], 'add'>;
};

/**
 * Takes one webhook of a source. News are pulled at once; a grant that is said to be over is looked at, since a webhook alone condemns nobody; all else is noted. An event that was
 * taken before is taken again without effect, and so is one that means nobody: who holds the secret learns nothing about our authorizations.
 * @throws PerennialError `hook_refused` for what is not signed as it must be, alike for a source that we do not have.
 */
export async function takeHook({
  context,
  source,
  signature,
  body,
}: {
  readonly context: Taking;
  readonly source: string;
  readonly signature: string | null;
  readonly body: Uint8Array;
}): Promise<void> {
  const { sources, store, clock, log, metrics } = context;
  const read = sources.get(source)?.readHook ?? null;
  if (read === null) throw new PerennialError('hook_refused');
  const reading = read({ signature, body, wallNow: clock.wallNow() });
  if (reading.kind === 'refused') {
    log.warn('hook_refused', { source, reason: reading.reason });
    metrics.hook({ event: 'unknown', outcome: reading.reason });
    throw new PerennialError('hook_refused');
  }
  const { event } = reading;
  const { eventId, id, refs } = event;
  const at = clock.now();
  const meant = await store.takeHook({ source, eventId, id, refs, at, tells: TELLS[event.kind] });
  metrics.hook({ event: event.kind, outcome: outcomeOf(meant) });
  await Promise.all((meant ?? []).map((authorizationId) => act({ context, source, event, authorizationId, at })));
  if (event.kind === 'endpoint_status_changed' && meant !== null) {
    const { endpointId, status } = event;
    log.warn('endpoint_status', { source, endpointId: endpointId ?? 'unknown', reason: status ?? 'UNKNOWN' });
  }
}

function outcomeOf(meant: readonly string[] | null): string {
  if (meant === null) return 'seen';
  return meant.length === 0 ? 'nobody' : 'taken';
}

async function act({
  context,
  source,
  event: { kind },
  authorizationId,
  at,
}: {
  readonly context: Taking;
  readonly source: string;
  readonly event: HookEvent;
  readonly authorizationId: string;
  readonly at: Instant;
}): Promise<void> {
  const { log } = context;
  if (kind === 'unknown' || kind === 'endpoint_status_changed') return;
  log.info('hook_taken', { authorizationId, source, reason: kind });
  const tells = TELLS[kind];
  if (tells === null) return;
  try {
    await bringRun({ context, authorizationId, reason: tells === 'news' ? 'told' : 'doubted', at });
  } catch (error) {
    // Both stand in the store, and the sweep comes for them.
    log.warn('hook_waits', { authorizationId, code: codeOf(error) });
  }
}
