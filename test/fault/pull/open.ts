import { openPostgresStore } from '../../../src/adapters/store/postgres.ts';
import { createClock } from '../../../src/adapters/system/clock.ts';
import { createCodec } from '../../../src/adapters/system/codec.ts';
import { openFileVault } from '../../../src/adapters/vault/file.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import { readKeyring } from '../../../src/main/key-settings.ts';
import { notaryOf } from '../../support/notary.ts';
import { type Bench, openBench } from '../../support/pull/bench.ts';
import type { Order } from './order.ts';

/** Where several processes pull to: one database, one folder of keys. */
export type Place = Pick<Order, 'databaseUrl' | 'keysDirectory' | 'encryptionKeys' | 'baseUrl'>;

/** A bench of one process, on a clock that says after every page that it is time to write down where the pull is. */
export async function openAt({
  databaseUrl,
  keysDirectory,
  encryptionKeys,
  baseUrl,
  rigStore = (store) => store,
}: Place & { readonly rigStore?: (store: Store) => Store }): Promise<Bench> {
  const clock = { ...createClock({ epochMs: 0, speed: 1 }), stopwatch: () => () => Number.POSITIVE_INFINITY };
  const store = await openPostgresStore({ databaseUrl, poolSize: 2, now: clock.now, notary: notaryOf() });
  const keyring = readKeyring({ ENCRYPTION_KEYS: encryptionKeys });
  const vault = await openFileVault({ directory: keysDirectory, keyring });
  const bench = openBench({ store: rigStore(store), vault, codec: createCodec(), clock, baseUrl });
  return {
    ...bench,
    close: async () => {
      await bench.close();
      await vault.close();
      await store.close();
    },
  };
}
