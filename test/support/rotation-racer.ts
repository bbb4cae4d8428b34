import { openFileVault } from '../../src/adapters/vault/file.ts';
import { createKeyring } from '../../src/adapters/vault/keyring.ts';
import { Secret } from '../../src/core/secret.ts';

/** Another process that wraps all keys anew: arguments are the directory, the new and the old key-encryption key; prints how many it wrapped. */
const [, , directory = '', next = '', old = ''] = process.argv;
const keyring = createKeyring([
  { id: 'k2', key: new Secret(next) },
  { id: 'k1', key: new Secret(old) },
]);
const vault = await openFileVault({ directory, keyring });
let rewrapped = 0;
let after: string | null = null;
do {
  const page = await vault.rewrap({ after, limit: 5 });
  rewrapped += page.rewrapped;
  after = page.next;
} while (after !== null);
process.stdout.write(String(rewrapped));
