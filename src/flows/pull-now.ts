import type { Authorization } from '../core/authorization.ts';
import { codeOf, PerennialError } from '../core/errors.ts';
import { bringRun } from './bring-run.ts';
import type { Context } from './context.ts';

/**
 * Has an active MULTIPLE authorization pulled now, which its trail notes. A job that runs already takes no wish along, and a queue may be away: it stands in the store
 * first, and is pulled behind a run that is under way, or when the sweep comes.
 * @throws PerennialError `authorization_not_active`
 */
export async function pullNow({
  context,
  authorization: { id, state, usage, purgeDueAt },
  actor,
}: {
  readonly context: Context;
  readonly authorization: Authorization;
  readonly actor: string;
}): Promise<void> {
  const { store, clock, log } = context;
  const now = clock.now();
  const late = purgeDueAt !== null && now >= purgeDueAt;
  if (state !== 'active' || usage !== 'MULTIPLE' || late) throw new PerennialError('authorization_not_active');
  await store.appendAudit({ at: now, authorizationId: id, actor, action: 'pull', reason: 'asked_for' });
  const at = clock.now();
  await store.askForPull({ authorizationId: id, at });
  try {
    await bringRun({ context, authorizationId: id, reason: 'asked_for', at });
  } catch (error) {
    log.warn('not_enqueued', { authorizationId: id, code: codeOf(error) });
  }
}
