import { join, resolve } from 'node:path';
import { openFileVault } from '../adapters/vault/file.ts';
import { deriveIntakeKeys, type IntakeKeys } from '../adapters/vault/intake-keys.ts';
import { moveKeyFolder } from '../adapters/vault/key-folder.ts';
import type { Keyring } from '../adapters/vault/keyring.ts';
import { createNotary } from '../adapters/vault/notary.ts';
import { openPostgresVault } from '../adapters/vault/postgres.ts';
import type { Environment } from '../config.ts';
import { codeOf, PerennialError } from '../core/errors.ts';
import type { Notary } from '../core/ports/notary.ts';
import type { Store } from '../core/ports/store.ts';
import type { Vault } from '../core/ports/vault.ts';
import { RECEIPT_CHAIN } from '../core/receipt-text.ts';
import { readKeyring } from './key-settings.ts';
import { named } from './named.ts';

const VAULT_POOL_SIZE = 2;
/**
 * The installation's own data key, from which its other keys are derived. It lies in the key store like every data key, so that a database and
 * ENCRYPTION_KEYS alone make none of them. No authorization's id begins with a dot.
 */
const INSTALLATION = '.keyring';

/** What is derived from the installation's own key. */
export type Installation = {
  readonly intake: IntakeKeys;
  readonly notary: Notary;
  /** This start made it: there was no key of an installation. */
  readonly isNew: boolean;
};

/** Opens the key store that the environment names. */
export function openVault({
  environment: { KEY_DATABASE_URL: databaseUrl, DATA_DIR, KEYS_DIR },
  keyring,
}: {
  readonly environment: Environment;
  readonly keyring: Keyring;
}): Promise<Vault> {
  return databaseUrl === undefined
    ? named('KEYS_DIR', openKeyFiles({ dataDir: resolve(DATA_DIR), keysDir: KEYS_DIR, keyring }))
    : named('KEY_DATABASE_URL', openPostgresVault({ databaseUrl, keyring, poolSize: VAULT_POOL_SIZE }));
}

/** A folder apart: a copy of DATA_DIR must not hold what opens it. */
async function openKeyFiles({
  dataDir,
  keysDir,
  keyring,
}: {
  readonly dataDir: string;
  readonly keysDir: string | undefined;
  readonly keyring: Keyring;
}): Promise<Vault> {
  const directory = resolve(keysDir ?? `${dataDir}-keys`);
  await moveKeyFolder({ from: join(dataDir, 'keys'), to: directory });
  return openFileVault({ directory, keyring });
}

/**
 * The installation's keys; made at its first start. No start with ENCRYPTION_KEYS that do not open what is there: every authorization would fail by itself,
 * and new ones be sealed apart from the old. @throws PerennialError `config_invalid` naming ENCRYPTION_KEYS.
 */
export async function openInstallation(vault: Vault): Promise<Installation> {
  try {
    const isNew = !(await vault.has(INSTALLATION));
    const key = await vault.create(INSTALLATION);
    return { intake: deriveIntakeKeys(key), notary: createNotary(key), isNew };
  } catch (error) {
    if (codeOf(error) !== 'unseal_failed') throw error;
    throw new PerennialError('config_invalid', { field: 'ENCRYPTION_KEYS does not open the data keys that are there' });
  }
}

/**
 * No start on a database of another key store: none of its values would open, and what is signed from now on would be by another key than what it holds. A
 * key that this start made for nothing is taken back, so that the right key store can be put in its place.
 * @throws PerennialError `config_invalid` naming where the keys are kept.
 */
export async function proveTogether({
  environment,
  store,
  vault,
  installation: { isNew, notary },
}: {
  readonly environment: Pick<Environment, 'KEY_DATABASE_URL'>;
  readonly store: Store;
  readonly vault: Vault;
  readonly installation: Installation;
}): Promise<void> {
  const signer = await signerOf(store);
  const isEmpty = Object.values(await store.countByState()).every((count) => count === 0);
  const fits = signer === null ? isEmpty || !isNew : signer === notary.keyId;
  if (fits) return;
  if (isNew) await vault.destroy(INSTALLATION);
  const setting = environment.KEY_DATABASE_URL === undefined ? 'KEYS_DIR' : 'KEY_DATABASE_URL';
  throw new PerennialError('config_invalid', { field: `${setting} does not hold the keys of this database` });
}

/** Whose signature is on the newest entry of the audit trail; null where none is signed yet. */
async function signerOf(store: Store): Promise<string | null> {
  const { heads } = await store.chainHeads();
  const head = heads.find(({ chain, seq }) => chain !== RECEIPT_CHAIN && seq > 0);
  if (head === undefined) return null;
  const [entry] = await store.auditPage({ chain: head.chain, after: head.seq - 1, limit: 1 });
  return entry?.link?.keyId ?? null;
}

/** The public key that other services seal to, as `perennial keys intake` prints it. */
export async function readIntakeKey(environment: Environment): Promise<IntakeKeys['publicJwk']> {
  const vault = await openVault({ environment, keyring: readKeyring(environment) });
  try {
    return (await openInstallation(vault)).intake.publicJwk;
  } finally {
    await vault.close();
  }
}
