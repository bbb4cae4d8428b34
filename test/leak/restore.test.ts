import { hkdfSync } from 'node:crypto';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { compactDecrypt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDataKey } from '../../src/adapters/vault/data-key.ts';
import { openFileKeyStore } from '../../src/adapters/vault/file.ts';
import { deriveIntakeKeys, type IntakeKeys } from '../../src/adapters/vault/intake-keys.ts';
import { createClient } from '../../src/client.ts';
import { readEnvironment } from '../../src/config.ts';
import type { DataKey } from '../../src/core/ports/vault.ts';
import { createService } from '../../src/flows/serve.ts';
import { openTokens } from '../../src/flows/token-vault.ts';
import { type Composition, compose } from '../../src/main/compose.ts';
import { readKeyring } from '../../src/main/key-settings.ts';
import { startWorker } from '../../src/main/run.ts';
import { canCopyDatabases, copyDatabase } from '../support/copy-database.ts';
import { bytesIn } from '../contract/vault/key-files.ts';
import type { TestPostgres } from '../support/databases.ts';
import { canStartRedis, type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { newKey } from '../support/processes.ts';
import { findServices, missingOf, type Place, postgresPlace } from '../support/system-places.ts';
import { tracesInRedis } from '../support/system-traces.ts';
import { until } from '../support/system-until.ts';
import { requestOf, sourcesOf, startWorld, type World } from '../support/world.ts';

const COUNT = 100;
/** Resources of each patient: enough for a pack, a manifest and changes. */
const PATIENT_SIZE = 2;
const PREFIX = 'perennial-restore';
const JWE = /eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+/g;

const services = await findServices();
const { postgres } = services;
const missing = canStartRedis && canCopyDatabases ? missingOf(services) : 'SKIPPED: NO redis-server OR NO pg_dump';

if (postgres === null || missing !== '') {
  describe.skip(`copies of everything but the key store ${missing}`, () => {
    test('open nothing of what was purged since', () => undefined);
  });
} else {
  describe('copies of everything but the key store', () => restoreSuite(postgres));
}

function restoreSuite(server: TestPostgres): void {
  const encryptionKeys = newKey();
  const ids = Array.from({ length: COUNT }, (_, index) => `restored-${index}`);
  const closers: (() => Promise<void>)[] = [];
  let world: World;
  let place: Place;
  let redis: OwnRedis;
  let house: Composition;
  let copies: Copies;

  const settings = (): Readonly<Record<string, string>> => ({
    ...world.rate,
    ENCRYPTION_KEYS: encryptionKeys,
    SOURCES: sourcesOf(world),
    LOG_LEVEL: 'silent',
    QUEUE_PREFIX: PREFIX,
    WORKER_CONCURRENCY: '20',
  });
  /** The copies in a fresh database, a fresh Redis and a fresh folder, with a key store, and what can be opened there. */
  const openedIn = async (keysDir: string): Promise<Opened> => {
    const database = await server.createDatabase();
    const files = await startOwnRedis({ files: copies.redis });
    try {
      await copies.loadInto(database.databaseUrl);
      const where = { DATABASE_URL: database.databaseUrl, REDIS_URL: files.url, DATA_DIR: copies.data, KEYS_DIR: keysDir };
      const restored = await compose(readEnvironment({ ...settings(), ...where }));
      const opened = await whatOpens({ house: restored, ids, keysDir, encryptionKeys });
      const sealedJobs = (await tracesInRedis({ url: files.url, prefix: PREFIX })).filter(({ text }) => JWE.test(text));
      await restored.close();
      return { ...opened, sealedJobs: sealedJobs.map(({ where: key }) => key) };
    } finally {
      await files.close();
      await database.drop();
    }
  };

  beforeAll(async () => {
    world = await startWorld({ speed: 1 });
    place = await postgresPlace(server);
    redis = await startOwnRedis();
    closers.push(world.close, place.close, redis.close);
    const environment = readEnvironment({ ...place.settings, ...settings(), REDIS_URL: redis.url });
    house = await compose(environment);
    const worker = await startWorker({ composition: house, environment });
    closers.push(async () => {
      await worker.stop();
      await house.close();
    });
    await handOver({ ids, world, redisUrl: redis.url, intake: house.intake });
    await until('all are pulled', () => pulled(house, ids), (count) => count === COUNT, { capMs: 60_000 });
    await redis.rewrite();
    copies = await copyAll({ place, redis, databaseUrl: environment.DATABASE_URL ?? '' });
  }, 120_000);

  afterAll(async () => {
    for (const close of closers.reverse()) await close();
  });

  test(`control: before the purge, all ${COUNT} authorizations open from them with the key store`, async () => {
    expect(await openedIn(place.keysDir)).toMatchObject({ whole: COUNT, any: [] , sealedJobs: [] });
  });

  test(`after the purge none of ${COUNT} opens, with the master keys and the key store as it is then`, async () => {
    const service = createService(house.context);
    for (const id of ids) await service.requestPurge({ id, actor: 'test' });
    await until('all are purged', () => receipts(house, ids), (count) => count === COUNT, { capMs: 60_000 });
    expect(await openedIn(place.keysDir)).toStrictEqual({ whole: 0, any: [], sealedJobs: [] });
  }, 120_000);

  test(`control: with the old key store copied too, all ${COUNT} open again: who keeps both keeps everything`, async () => {
    expect(await openedIn(copies.keys)).toMatchObject({ whole: COUNT });
  });
}
