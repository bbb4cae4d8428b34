import { PerennialError } from '../../core/errors.ts';
import type { Vault } from '../../core/ports/vault.ts';
import type { KeptKey, KeyStore } from './key-store.ts';
import type { Keyring } from './keyring.ts';

/** Looks at one key that somebody else wraps at the same time: each of them makes progress, so a second look is nearly always the last. */
const TRIES_MAX = 5;

type Fate = 'rewrapped' | 'current' | 'gone' | 'unreadable';
type Parts = { readonly keys: KeyStore; readonly keyring: Keyring };

/** Wraps the data keys anew, and counts which key wraps them. */
export function createRotation({ keys, keyring }: Parts): Pick<Vault, 'rewrap' | 'census'> {
  const { currentId: currentKeyId } = keyring;
  return {
    rewrap: async (page) => {
      const { kept, next } = await keys.list(page);
      const counts = { rewrapped: 0, current: 0, gone: 0, unreadable: 0 };
      for (const key of kept) counts[await rewrapOne({ keys, keyring, key })] += 1;
      return { next, currentKeyId, ...counts };
    },
    census: async (page) => {
      const { kept, next } = await keys.list(page);
      const wraps = new Map<string, number>();
      for (const { wrapped } of kept) {
        const keyId = keyring.keyIdOf(wrapped);
        if (keyId !== null) wraps.set(keyId, (wraps.get(keyId) ?? 0) + 1);
      }
      const counted = [...wraps].map(([keyId, count]) => ({ keyId, held: keyring.holds(keyId), wraps: count }));
      const known = counted.reduce((sum, one) => sum + one.wraps, 0);
      return { next, currentKeyId, keys: counted, unreadable: kept.length - known };
    },
  };
}

async function rewrapOne({ keys, keyring, key }: Parts & { readonly key: KeptKey }): Promise<Fate> {
  const { authorizationId } = key;
  if (authorizationId === null) return 'unreadable';
  let { wrapped: expected, unfinished } = key;
  for (let tries = 1; tries <= TRIES_MAX; tries += 1) {
    const dataKey = opened({ keyring, authorizationId, wrapped: expected });
    if (dataKey === null) return 'unreadable';
    const wrapped = keyring.wrap({ authorizationId, dataKey });
    dataKey.fill(0);
    const isCurrent = keyring.keyIdOf(expected) === keyring.currentId;
    if (isCurrent && !unfinished) return 'current';
    const outcome = await keys.replace({ authorizationId, expected, wrapped });
    if (outcome === 'replaced') return isCurrent ? 'current' : 'rewrapped';
    const found = outcome === 'gone' ? null : await keys.find(authorizationId);
    if (found === null) return 'gone';
    [expected, unfinished] = [found, false];
  }
  throw new PerennialError('internal', { field: 'key store' });
}

/** Also those wrapped by the current key are tried: one that does not open must not be called well. */
function opened({
  keyring,
  authorizationId,
  wrapped,
}: {
  readonly keyring: Keyring;
  readonly authorizationId: string;
  readonly wrapped: Uint8Array;
}): Buffer | null {
  try {
    return keyring.unwrap({ authorizationId, wrapped });
  } catch {
    return null;
  }
}
