import { randomBytes } from 'node:crypto';
import type { KeyStore } from '../../../src/adapters/vault/key-store.ts';
import { createKeyring, type Keyring } from '../../../src/adapters/vault/keyring.ts';
import type { DataKey, SealPurpose, Vault } from '../../../src/core/ports/vault.ts';
import { Secret } from '../../../src/core/secret.ts';

/** One place where keys are kept, which any number of vaults can open, and the way around them into it. */
export type VaultPlace = {
  readonly open: (keyring: Keyring) => Promise<Vault>;
  /** What lies under such a vault. */
  readonly openKeys: () => Promise<KeyStore>;
  readonly readWrapped: (authorizationId: string) => Promise<Uint8Array | null>;
  readonly writeWrapped: (authorizationId: string, wrapped: Uint8Array) => Promise<void>;
  readonly close: () => Promise<void>;
};

export function newKek(): string {
  return randomBytes(32).toString('base64');
}

export function keyringOf(...keks: readonly string[]): Keyring {
  return createKeyring(keks.map((kek, index) => ({ id: `k${keks.length - index}`, key: new Secret(kek) })));
}

let ids = 0;
export function newId(): string {
  ids += 1;
  return `authorization-${ids}`;
}

export const PLAIN = Buffer.from('{"access_token":"at-very-secret"}');
export const BINDING: { readonly purpose: SealPurpose; readonly context: string } = { purpose: 'tokens', context: '7' };
/** Tells one key from another. */
export function markOf(key: DataKey): string {
  return key.mac({ purpose: 'mark', bytes: 'same' });
}
