import type { KeyCensusView, RotationView } from '../contract/keys.ts';
import { LIMITS } from '../core/limits.ts';
import type { Context } from './context.ts';

/**
 * Wraps one page of the data keys by the current key-encryption key. The values under the data keys stay as they are, so nobody waits for it and nothing is read
 * anew. Audited before and after: what broke off left its beginning. Doing a page again is harmless.
 */
export async function rotateKeys({
  context: { vault, store, clock, log },
  after,
  actor,
}: {
  readonly context: Context;
  readonly after: string | null;
  readonly actor: string;
}): Promise<RotationView> {
  const note = (reason: string) =>
    store.appendAudit({ at: clock.now(), authorizationId: null, actor, action: 'rotate:keys', reason });
  await note('begun');
  const page = await vault.rewrap({ after, limit: LIMITS.rotationBatch });
  const { currentKeyId, rewrapped, current, gone, unreadable } = page;
  await note(`to ${currentKeyId}: ${rewrapped} rewrapped, ${current} current, ${gone} gone, ${unreadable} unreadable`);
  log.info('keys_rotated', { count: rewrapped });
  if (unreadable > 0) log.error('keys_unreadable', { count: unreadable, code: 'unseal_failed' });
  return page;
}

/** Counts one page of the data keys by what wraps them. */
export async function countKeys({
  context: { vault },
  after,
}: {
  readonly context: Context;
  readonly after: string | null;
}): Promise<KeyCensusView> {
  const { keys, ...rest } = await vault.census({ after, limit: LIMITS.censusBatch });
  return { ...rest, keys: [...keys] };
}
