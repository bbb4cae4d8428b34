import { createKeyring, type Keyring } from '../adapters/vault/keyring.ts';
import type { Environment } from '../config.ts';
import { PerennialError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';

/** No key, no start. @throws PerennialError `config_invalid` naming ENCRYPTION_KEYS, never what is in it. */
export function readKeyring(environment: Pick<Environment, 'ENCRYPTION_KEYS'>): Keyring {
  const text = environment.ENCRYPTION_KEYS;
  if (text === undefined) throw new PerennialError('config_invalid', { field: 'ENCRYPTION_KEYS is missing' });
  const keys = text.split(',').map((entry, index) => {
    const [id, key, ...rest] = entry.trim().split(':');
    if (id === undefined || key === undefined || rest.length > 0) {
      throw new PerennialError('config_invalid', { field: `ENCRYPTION_KEYS entry ${index + 1} must be id:key` });
    }
    return { id, key: new Secret(key) };
  });
  return createKeyring(keys);
}
