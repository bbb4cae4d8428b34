import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { createDataKey } from '../../src/adapters/vault/data-key.ts';
import { openFileKeyStore } from '../../src/adapters/vault/file.ts';
import type { SealedTokens } from '../../src/core/ports/store.ts';
import type { DataKey } from '../../src/core/ports/vault.ts';
import { createService } from '../../src/flows/serve.ts';
import { openTokens } from '../../src/flows/token-vault.ts';
import type { Composition } from '../../src/main/compose.ts';
import { readKeyring } from '../../src/main/key-settings.ts';
import { bytesIn } from '../contract/vault/key-files.ts';
import { dumpDatabase, loadDatabase } from '../support/copy-database.ts';
import type { OwnRedis } from '../support/own-redis.ts';
import type { Place } from '../support/system-places.ts';

/** Compact JWEs, as requests are sealed for the queue. */
const JWES = /eyJ[\w-]+\.[\w-]*\.[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}/g;

/** What a careless backup holds: the database, Redis' files and DATA_DIR; and, apart, the key store. */
export type Copies = {
  readonly data: string;
  readonly keys: string;
  readonly redis: string;
  readonly loadInto: (databaseUrl: string) => Promise<void>;
  /** Requests that producers sealed, wherever they stand in Redis' files: in the snapshot, and in the history that the AOF is. */
  readonly sealedIn: { readonly snapshot: readonly string[]; readonly history: readonly string[] };
  readonly remove: () => Promise<void>;
};

export async function copyAll({
  place: { dataDir, keysDir },
  redis,
  databaseUrl,
}: {
  readonly place: Place;
  readonly redis: OwnRedis;
  readonly databaseUrl: string;
}): Promise<Copies> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-test-copies-'));
  const at = (name: string) => join(folder, name);
  await snapshot(redis.url);
  await cp(redis.folder, at('redis'), { recursive: true });
  await cp(dataDir, at('data'), { recursive: true });
  await cp(keysDir, at('keys'), { recursive: true });
  await dumpDatabase({ databaseUrl, file: at('database.sql') });
  const sealed = (bytes: Buffer) => [...new Set(bytes.toString('latin1').match(JWES) ?? [])];
  return {
    data: at('data'),
    keys: at('keys'),
    redis: at('redis'),
    loadInto: (url) => loadDatabase({ databaseUrl: url, file: at('database.sql') }),
    sealedIn: {
      snapshot: sealed(await readFile(join(at('redis'), 'dump.rdb'))),
      history: sealed(await bytesIn(join(at('redis'), 'appendonlydir'))),
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function snapshot(url: string): Promise<void> {
  const redis = new Redis(url);
  await redis.call('SAVE');
  redis.disconnect();
}

/** How many of the authorizations a house gives out whole, and every single thing that opens in any way, by its id. */
export type Opened = { readonly whole: number; readonly any: readonly string[] };

export async function whatOpens({
  house,
  ids,
  keysDir,
  encryptionKeys,
}: {
  readonly house: Composition;
  readonly ids: readonly string[];
  readonly keysDir: string;
  readonly encryptionKeys: string;
}): Promise<Opened> {
  const strangers = await allKeysIn({ keysDir, encryptionKeys });
  let whole = 0;
  const any: string[] = [];
  for (const id of ids) {
    const row = await house.context.store.tokens(id);
    const parts = await Promise.allSettled(waysToOpen({ house, id, row, strangers }));
    const open = parts.filter(({ status }) => status === 'fulfilled').length;
    if (open === parts.length) whole += 1;
    if (open > 0) any.push(id);
  }
  return { whole, any };
}

/** Each resolves when something of the authorization was opened: tokens, records, changes, what is known of its types, and the tokens by any key there is. */
function waysToOpen({
  house: { context },
  id,
  row,
  strangers,
}: {
  readonly house: Composition;
  readonly id: string;
  readonly row: SealedTokens | null;
  readonly strangers: readonly Buffer[];
}): readonly Promise<unknown>[] {
  const { store, vault } = context;
  const service = createService(context);
  const tokensBy = async (key: DataKey) => {
    if (row === null) throw new Error('no tokens');
    return openTokens({ key, row });
  };
  return [
    vault.open(id).then(tokensBy),
    service.records({ id, actor: 'thief' }).then(async ({ resources }) => {
      const read: unknown[] = [];
      for await (const resource of resources) read.push(resource);
      if (read.length === 0) throw new Error('no records');
    }),
    service.changes({ id, actor: 'thief', after: 0, limit: 10 }).then((changes) => {
      if (changes.length === 0) throw new Error('no changes');
    }),
    service.types({ id, actor: 'thief' }),
    store.pullJournal(id).then(async ({ state }) => {
      if (state === null) throw new Error('no journal');
      return vault.open(id);
    }),
    Promise.any(strangers.map((bytes) => tokensBy(createDataKey({ authorizationId: id, bytes: Buffer.from(bytes) })))),
  ];
}

/** Everything that a thief with the master keys and this key store would try as a key: the master keys themselves, and every data key that they unwrap. */
async function allKeysIn({
  keysDir,
  encryptionKeys,
}: {
  readonly keysDir: string;
  readonly encryptionKeys: string;
}): Promise<readonly Buffer[]> {
  const keyring = readKeyring({ ENCRYPTION_KEYS: encryptionKeys });
  const keys = await openFileKeyStore(keysDir);
  const { kept } = await keys.list({ after: null, limit: 10_000 });
  const master = encryptionKeys.split(',').map((entry) => Buffer.from(entry.split(':')[1] ?? '', 'base64'));
  const unwrapped = kept.map(({ authorizationId, wrapped }) =>
    keyring.unwrap({ authorizationId: authorizationId ?? '', wrapped }),
  );
  return [...master, ...unwrapped];
}
