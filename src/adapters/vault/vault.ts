import { randomBytes } from 'node:crypto';
import { PerennialError } from '../../core/errors.ts';
import type { DataKey, Vault } from '../../core/ports/vault.ts';
import { createDataKey, DATA_KEY_BYTES } from './data-key.ts';
import { createNonces } from './format.ts';
import type { KeyStore } from './key-store.ts';
import type { Keyring } from './keyring.ts';
import { createRotation } from './rotation.ts';

/** The Vault port over a key store. Nothing is cached: a destroyed key is gone with its row or file. */
export function createVault({ keys, keyring }: { readonly keys: KeyStore; readonly keyring: Keyring }): Vault {
  const nextNonce = createNonces();
  const open = async (authorizationId: string): Promise<DataKey> => {
    const wrapped = await keys.find(authorizationId);
    if (wrapped === null) throw new PerennialError('key_missing');
    return createDataKey({ authorizationId, bytes: keyring.unwrap({ authorizationId, wrapped }), nextNonce });
  };
  return {
    create: async (authorizationId) => {
      const dataKey = randomBytes(DATA_KEY_BYTES);
      const wrapped = keyring.wrap({ authorizationId, dataKey });
      dataKey.fill(0);
      await keys.keep({ authorizationId, wrapped });
      // Opened from where it is kept: of two who make one at once, both get the one that stayed.
      return open(authorizationId);
    },
    open,
    destroy: keys.destroy,
    has: keys.has,
    ...createRotation({ keys, keyring }),
    reclaim: keys.reclaim,
    anchors: keys.anchors,
    anchor: keys.anchor,
    ping: keys.ping,
    close: keys.close,
  };
}
