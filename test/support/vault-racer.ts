import { openFileVault } from '../../src/adapters/vault/file.ts';
import { createKeyring } from '../../src/adapters/vault/keyring.ts';
import { Secret } from '../../src/core/secret.ts';

/** Another process that makes a data key: arguments are the directory, the key-encryption key and the authorization; prints a hash under the key it got. */
const [, , directory = '', kek = '', authorizationId = ''] = process.argv;
const vault = await openFileVault({ directory, keyring: createKeyring([{ id: 'k1', key: new Secret(kek) }]) });
const key = await vault.create(authorizationId);
process.stdout.write(key.mac({ purpose: 'race', bytes: 'race' }));
