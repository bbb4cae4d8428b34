import { isReadable } from '../core/authorization.ts';
import { PerennialError } from '../core/errors.ts';
import type { DataKey } from '../core/ports/vault.ts';
import type { Context } from './context.ts';

/** Who reads what of one authorization. */
export type Reader = { readonly context: Context; readonly authorizationId: string; readonly actor: string };

/** Reads refuse from the purge deadline on, be the purge late or not; every read stands in the audit trail. */
export async function openForReading({
  context,
  authorizationId,
  actor,
  action,
}: Reader & { readonly action: 'read:records' | 'read:changes' | 'read:types' }): Promise<DataKey> {
  await assertReadable({ context, authorizationId });
  await context.store.appendAudit({ at: context.clock.now(), authorizationId, actor, action, reason: null });
  return context.vault.open(authorizationId);
}

/** @throws PerennialError `authorization_not_found` or `authorization_ended`. */
export async function assertReadable({
  context: { store, clock },
  authorizationId,
}: Pick<Reader, 'context' | 'authorizationId'>): Promise<void> {
  const authorization = await store.get(authorizationId);
  if (authorization === null) throw new PerennialError('authorization_not_found');
  if (!isReadable(authorization, clock.now())) throw new PerennialError('authorization_ended');
}
