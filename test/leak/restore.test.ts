import { hkdfSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOpener } from '../../src/adapters/intake/seal.ts';
import { deriveIntakeKeys } from '../../src/adapters/vault/intake-keys.ts';
import { createClient } from '../../src/client.ts';
import { readEnvironment } from '../../src/config.ts';
import type { AuthorizationView } from '../../src/contract/wire.ts';
import { createService } from '../../src/flows/serve.ts';
import { type Composition, compose } from '../../src/main/compose.ts';
import { startWorker } from '../../src/main/run.ts';
import { canCopyDatabases } from '../support/copy-database.ts';
import type { TestPostgres } from '../support/databases.ts';
import { canStartRedis, type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { newKey } from '../support/processes.ts';
import { findServices, missingOf, type Place, postgresPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { requestOf, sourcesOf, startWorld, type World } from '../support/world.ts';
import { type Copies, copyAll, type Opened, whatOpens } from './restored.ts';

const COUNT = process.env['PERENNIAL_SOAK'] === '1' ? 100 : 40;
const ALL_CAP_MS = 90_000;
const IDS = Array.from({ length: COUNT }, (_, index) => `restored-${index}`);

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
  const closers: (() => Promise<void>)[] = [];
  let world: World;
  let place: Place;
  let house: Composition;
  let copies: Copies;

  const settings = () => ({
    ...world.rate,
    ENCRYPTION_KEYS: encryptionKeys,
    SOURCES: sourcesOf(world),
    LOG_LEVEL: 'silent',
    WORKER_CONCURRENCY: '20',
  });
  const reached = (state: string, fits: (view: AuthorizationView) => boolean) =>
    until(
      `all are ${state}`,
      async () => (await createService(house.context).list({ after: null, limit: 500 })).filter(fits).length,
      (count) => count === COUNT,
      { capMs: ALL_CAP_MS },
    );

  /** The copies in a fresh database, a fresh Redis and a fresh folder, beside a key store. */
  const openedBeside = async (keysDir: string): Promise<Opened> => {
    const database = await server.createDatabase();
    const redis = await startOwnRedis({ copyOf: copies.redis });
    try {
      await copies.loadInto(database.databaseUrl);
      const folders = { DATA_DIR: copies.data, KEYS_DIR: keysDir };
      const where = { ...folders, DATABASE_URL: database.databaseUrl, REDIS_URL: redis.url };
      const restored = await compose(readEnvironment({ ...settings(), ...where }));
      const opened = await whatOpens({ house: restored, ids: IDS, keysDir, encryptionKeys });
      await restored.close();
      return opened;
    } finally {
      await redis.close();
      await database.drop();
    }
  };

  beforeAll(async () => {
    world = await startWorld({ speed: 1 });
    place = await postgresPlace(server);
    const redis = await startOwnRedis();
    closers.push(world.close, place.close, redis.close);
    const environment = readEnvironment({ ...place.settings, ...settings(), REDIS_URL: redis.url });
    house = await compose(environment);
    const worker = await startWorker({ composition: house, environment });
    closers.push(async () => {
      await worker.stop();
      await house.close();
    });
    await handOver({ world, redis, house });
    await reached('pulled', ({ lastPull }) => lastPull?.result === 'complete');
    copies = await copyAll({ place, redis, databaseUrl: environment.DATABASE_URL ?? '' });
    closers.push(copies.remove);
  }, ALL_CAP_MS);

  afterAll(async () => {
    for (const close of closers.reverse()) await close();
  });

  test(`control: before the purge, with the key store, ${COUNT} of ${COUNT} authorizations open from them`, async () => {
    expect(await openedBeside(place.keysDir)).toStrictEqual({ whole: COUNT, any: IDS });
  });

  test(
    `after the purge, with the master keys and the key store as it is now, 0 of ${COUNT} open`,
    async () => {
      const service = createService(house.context);
      for (const id of IDS) await service.requestPurge({ id, actor: 'test' });
      await reached('purged', ({ state }) => state === 'purged');
      expect(await openedBeside(place.keysDir)).toStrictEqual({ whole: 0, any: [] });
    },
    ALL_CAP_MS,
  );

  test(`control: with the key store of then copied as well, ${COUNT} of ${COUNT} open again`, async () => {
    expect(await openedBeside(copies.keys)).toStrictEqual({ whole: COUNT, any: IDS });
  });

  test('requests that producers sealed into the queue are in no snapshot of Redis once they are accepted, and in its history the master keys open none', async () => {
    expect(copies.sealedIn.snapshot).toStrictEqual([]);
    // The sight of this test is not lost: all of them are there, and the installation's own key, which lies in the key store, does open them.
    expect(copies.sealedIn.history).toHaveLength(COUNT);
    expect(await countOpened(copies.sealedIn.history, house.intake.privateJwks)).toBe(COUNT);
    const ofMasterKeys = encryptionKeys.split(',').flatMap((entry) => {
      const bytes = Buffer.from(entry.split(':')[1] ?? '', 'base64');
      const derive = (info: string) => Buffer.from(hkdfSync('sha256', bytes, '', info, bytes.byteLength));
      return [{ derive }, { derive: () => bytes }].flatMap((key) => deriveIntakeKeys(key).privateJwks);
    });
    const named = house.intake.privateJwks.flatMap(({ kid }) => ofMasterKeys.map(({ jwk }) => ({ kid, jwk })));
    for (const key of named) expect(await countOpened(copies.sealedIn.history, [key])).toBe(0);
  });
}

/** Patients connect, and another service puts their tokens into the queue, sealed. */
async function handOver({
  world,
  redis,
  house,
}: {
  readonly world: World;
  readonly redis: OwnRedis;
  readonly house: Composition;
}): Promise<void> {
  const client = createClient({ redisUrl: redis.url, workerKey: house.intake.publicJwk, service: 'portal' });
  for (const id of IDS) await client.enqueue(requestOf(await world.link({ exchanged: true, size: 2 }), { id }));
  await client.close();
}

async function countOpened(
  jwes: readonly string[],
  privateJwks: Composition['intake']['privateJwks'],
): Promise<number> {
  const open = createOpener({ privateJwks });
  const opened = await Promise.allSettled(jwes.map(open));
  return opened.filter(({ status }) => status === 'fulfilled').length;
}
