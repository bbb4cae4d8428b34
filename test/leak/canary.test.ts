import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClock } from '../../src/adapters/system/clock.ts';
import { createCodec } from '../../src/adapters/system/codec.ts';
import { openPostgresVault } from '../../src/adapters/vault/postgres.ts';
import type { Vault } from '../../src/core/ports/vault.ts';
import { readKeyring } from '../../src/main/key-settings.ts';
import type { Sql } from '../support/databases.ts';
import { oddLines } from '../support/log-lines.ts';
import { canStartRedis, type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { API_KEY, killLeftovers, newKey, type Served, serve } from '../support/processes.ts';
import { embeddedPlace, findServices, missingOf, type Place, postgresPlace } from '../support/system-places.ts';
import { findIn, type Trace, tracesInFolder, tracesInPostgres, tracesInRedis } from '../support/system-traces.ts';
import { until } from '../support/system-until.ts';
import { type Canaries, createCanaries } from './canaries.ts';
import { DASHBOARD, type Lives, liveThrough, lookedAt } from './life.ts';
import { type LeakyUpstream, startLeakyUpstream } from './upstream.ts';

/** A token's ten virtual minutes are ten seconds. */
const SPEED = 60;
/** Rows that name a purged authorization and nothing about anybody: its tombstone, its fence, and who did what when. */
const TELLS_OF_THE_DEAD = ['authorizations', 'audit', 'events', 'leases', 'receipts'].map(
  (name) => `postgres perennial.${name}`,
);
const QUEUE_PREFIX = 'perennial-canary';
/** Of each kind one, where a look at all would be a look through some 100 MB each. */
const KINDS = ['access', 'refresh', 'public', 'patient', 'family', 'observation', 'value', 'cursor', 'crash'];

const services = await findServices();
const { postgres } = services;
const missing = canStartRedis ? missingOf(services) : 'SKIPPED: NO redis-server TO START';

afterAll(killLeftovers);

if (postgres === null || missing !== '') {
  describe.skip(`canaries through Redis and Postgres ${missing}`, () => {
    test('none is left', () => undefined);
  });
} else {
  describe('canaries through Redis and Postgres', () => {
    let redis: OwnRedis;
    let keys: { readonly databaseUrl: string; readonly sql: Sql; readonly drop: () => Promise<void> };
    let house: House;
    let sealed: ReadonlyMap<string, Sealed>;
    let after: readonly Trace[];
    let ofRedis: readonly Trace[];
    let history: readonly Trace[];

    beforeAll(async () => {
      redis = await startOwnRedis();
      keys = await postgres.createDatabase();
      const place = await postgresPlace(postgres);
      const settings = { ...place.settings, REDIS_URL: redis.url, QUEUE_PREFIX, KEY_DATABASE_URL: keys.databaseUrl };
      house = await openHouse({ ...place, settings, redis: { url: redis.url, prefix: QUEUE_PREFIX } });
      await house.live();
      sealed = await sealedOf({ sql: sqlOf(place), ids: [house.lives.ended[0], house.lives.kept] });
      await house.endAll();
      history = await tracesInFolder(redis.folder);
      await redis.rewrite();
      ofRedis = [...(await tracesInRedis({ url: redis.url, prefix: '' })), ...(await tracesInFolder(redis.folder))];
      after = [...(await house.traces()), ...(await tracesInPostgres(keys.sql)), ...ofRedis];
    }, 120_000);

    afterAll(async () => {
      await house.close();
      await keys.drop();
      await redis.close();
    });

    test('while it lives, nothing of a patient or a token stands anywhere in the clear', () => {
      expect(house.whileAlive.length).toBeGreaterThan(100);
      expect(findIn({ traces: house.whileAlive, values: house.canaries.all() })).toEqual([]);
    });

    test('after the purges, nothing does in tables, keys, streams, AOF, RDB, files, logs and what a crash printed', () => {
      expect(after.length).toBeGreaterThan(100);
      expect(findIn({ traces: after, values: house.canaries.all() })).toEqual([]);
    });

    test('every line that was logged on the way, a crash included, has known fields of known shapes alone', () => {
      expect(oddLines(house.logLines())).toEqual([]);
      expect(house.logLines().length).toBeGreaterThan(40);
    });

    test('Redis, its AOF and its RDB name no purged authorization; control: they name the one that stays', () => {
      const { once, ended, kept } = house.lives;
      expect(findIn({ traces: ofRedis, values: [once, ...ended] })).toEqual([]);
      const found = findIn({ traces: ofRedis, values: [kept] }).join('\n');
      for (const place of ['refresh-and-pull:completed', 'runs-of', 'intake', 'dump.rdb', 'base.rdb'])
        expect(found).toContain(place);
      // An AOF is a history until it is written anew, which Redis does by itself as it grows.
      expect(findIn({ traces: history, values: ended }).join('\n')).toContain('.aof');
      expect(findIn({ traces: history, values: house.canaries.all() })).toEqual([]);
    });

    test('the database keeps of a purged authorization what tells that there was one; the key store keeps nothing', () => {
      const { once, ended } = house.lives;
      const found = findIn({ traces: after, values: [once, ...ended] }).map((one) => one.replace(/: [^:]*$/, ''));
      const places = new Set(found.filter((one) => one !== 'logs' && !one.startsWith('GET ')));
      expect([...places].filter((one) => !TELLS_OF_THE_DEAD.includes(one))).toEqual([]);
      expect([...places]).toEqual(expect.arrayContaining(['postgres perennial.audit', 'postgres perennial.receipts']));
    });

    test('a copy of the rows opens to nothing any more; control: with rows deleted and no more it still opens', async () => {
      const { ended, kept } = house.lives;
      const keyring = readKeyring({ ENCRYPTION_KEYS: house.encryptionKeys });
      const vault = await openPostgresVault({ databaseUrl: keys.databaseUrl, keyring, poolSize: 1 });
      for (const table of ['tokens', 'packs', 'manifests', 'changes', 'pulls'])
        await sqlOf(house.place)(`delete from perennial.${table} where authorization_id = $1`, [kept]);
      await expect(opened({ vault, id: ended[0], sealed })).rejects.toMatchObject({ code: 'key_missing' });
      const clear = await opened({ vault, id: kept, sealed });
      await vault.close();
      const seen = new Set(
        findIn({ traces: clear, values: house.canaries.all() }).map((one) => one.split(/[:-]/)[1]?.trim()),
      );
      expect([...seen]).toEqual(expect.arrayContaining(['access', 'refresh', 'patient', 'family', 'value', 'note']));
    });
  });
}

// It takes as long again, and what is stored goes through the same code: always where nothing else answers, else when asked for.
describe.runIf(missing !== '' || process.env['PERENNIAL_SOAK'] === '1')(
  'canaries through the embedded database',
  () => {
    let house: House;
    beforeAll(async () => {
      house = await openHouse(await embeddedPlace());
      await house.live();
      await house.endAll();
    }, 120_000);
    afterAll(() => house.close());

    test('none stands in the clear in its files, its logs and what a crash printed, before and after the purges', async () => {
      const values = KINDS.flatMap((kind) =>
        house.canaries
          .all()
          .filter((one) => one.startsWith(`${kind}-`))
          .slice(0, 1),
      );
      expect(values).toHaveLength(KINDS.length);
      expect(findIn({ traces: [...house.whileAlive, ...(await house.traces())], values })).toEqual([]);
      expect(oddLines(house.logLines())).toEqual([]);
    });
  },
);

type House = Awaited<ReturnType<typeof openHouse>>;
type Sealed = { readonly tokens: readonly Row[]; readonly packs: readonly Row[] };
type Row = Readonly<Record<string, unknown>>;

/** A Perennial at a place, its leaky source, and all that is seen of it. */
async function openHouse(place: Place) {
  const canaries: Canaries = createCanaries();
  const upstream: LeakyUpstream = await startLeakyUpstream(canaries);
  const epochMs = createClock({ epochMs: 0, speed: 1 }).wallNow();
  const clock = createClock({ epochMs, speed: SPEED });
  const temporary = await mkdtemp(join(tmpdir(), 'perennial-test-tmp-'));
  const encryptionKeys = newKey();
  const env = settingsOf({ place, upstream, epochMs, encryptionKeys, temporary, crash: canaries.new('crash') });
  const served: Served[] = [];
  const start = async () => {
    const server = await serve({ command: 'start', env });
    served.push(server);
    return server;
  };
  const traces = async (): Promise<readonly Trace[]> => [
    ...served.flatMap((one) => `${one.stdout()}${one.stderr()}`.split('\n')).map((text) => ({ where: 'logs', text })),
    ...(place.sql === null ? [] : await tracesInPostgres(place.sql)),
    ...(await tracesInFolder(join(place.dataDir, '..'))),
    ...(await tracesInFolder(temporary)),
  ];
  const look = (server: Served) => lookedAt({ server, ids: [house.lives.kept] });
  const house = {
    place,
    canaries,
    encryptionKeys,
    lives: { once: '', ended: ['', ''], kept: '' } as Lives,
    whileAlive: [] as readonly Trace[],
    traces,
    /** Standard output and standard error of all processes. */
    logLines: () => served.flatMap((one) => `${one.stdout()}${one.stderr()}`.split('\n')),
    live: async () => {
      const server = await start();
      house.lives = await liveThrough({ upstream, server, place, clock });
      // A run has pulled before its job is done: a crash in between leaves a job that is taken up half a minute later.
      const seen = await until('the run of the one that stays is done', () => look(server), hasDone(house.lives.kept));
      server.signal('SIGUSR1');
      expect((await server.exit).code, 'it crashed').toBe(1);
      const redis = place.redis === null ? [] : await tracesInRedis(place.redis);
      house.whileAlive = [...seen, ...(await traces()), ...redis];
    },
    endAll: async () => {
      const server = await start();
      const { once, ended } = house.lives;
      for (const id of ended) await server.api.purge(id);
      for (const id of [once, ...ended]) await server.reaches(id, 'purged', ({ state }) => state === 'purged');
      server.signal('SIGTERM');
      expect((await server.exit).code).toBe(0);
      expect(upstream.echoes(), 'failures were provoked').toBeGreaterThan(8);
    },
    close: async () => {
      await killLeftovers();
      await upstream.close();
      await place.close();
      await rm(temporary, { recursive: true, force: true });
    },
  };
  return house;
}

const hasDone = (id: string) => (pages: readonly Trace[]) =>
  pages.some(({ where, text }) => where.includes('Queue=refresh-and-pull&status=completed') && text.includes(id));

function settingsOf({
  place,
  upstream,
  epochMs,
  encryptionKeys,
  temporary,
  crash,
}: {
  readonly place: Place;
  readonly upstream: LeakyUpstream;
  readonly epochMs: number;
  readonly encryptionKeys: string;
  readonly temporary: string;
  readonly crash: string;
}): Readonly<Record<string, string>> {
  const leaky = { kind: 'flexpa', baseUrl: upstream.url, publishableKey: 'pk', secretKey: 'sk_of_the_leaky_source' };
  const searching = {
    ...leaky,
    pullBy: 'search',
    resourceTypes: ['Patient', 'Observation', 'Condition'],
    searchQuery: '',
  };
  const parts = JSON.stringify(crash.split('-'));
  const thrower = `process.on('SIGUSR1', () => { const said = ${parts}.join('-'); throw new Error(said, { cause: new Error(said) }); })`;
  return {
    ...place.settings,
    ...DASHBOARD,
    ENCRYPTION_KEYS: encryptionKeys,
    API_KEYS: `test:enqueue+read+pull+purge+records+token=${API_KEY}`,
    SOURCES: JSON.stringify({ leaky, searching }),
    CLOCK_SPEED: String(SPEED),
    CLOCK_EPOCH_MS: String(epochMs),
    PORT: '0',
    TMPDIR: temporary,
    LOG_LEVEL: 'info',
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(thrower)}`,
  };
}

function sqlOf({ sql }: Place): Sql {
  if (sql === null) throw new Error('no database');
  return sql;
}

/** A backup, as it were: the sealed rows of some authorizations. */
async function sealedOf({
  sql,
  ids,
}: {
  readonly sql: Sql;
  readonly ids: readonly string[];
}): Promise<ReadonlyMap<string, Sealed>> {
  const rows = (table: string, id: string) => sql(`select * from perennial.${table} where authorization_id = $1`, [id]);
  const pairs = ids.map(
    async (id) => [id, { tokens: await rows('tokens', id), packs: await rows('packs', id) }] as const,
  );
  return new Map(await Promise.all(pairs));
}

/** What the rows hold, opened with the key that the key store has now. */
async function opened({
  vault,
  id,
  sealed,
}: {
  readonly vault: Vault;
  readonly id: string;
  readonly sealed: ReadonlyMap<string, Sealed>;
}): Promise<readonly Trace[]> {
  const key = await vault.open(id);
  const rows = sealed.get(id);
  const unsealed: Trace[] = [];
  for (const { version, sealed: bytes } of rows?.tokens ?? []) {
    if (!Buffer.isBuffer(bytes)) throw new Error('no bytes');
    const text = Buffer.from(key.unseal({ purpose: 'tokens', context: `v${String(version)}`, sealed: bytes })).toString(
      'utf8',
    );
    unsealed.push({ where: 'tokens', text });
  }
  for (const { id: pack, sealed: bytes } of rows?.packs ?? []) {
    if (!Buffer.isBuffer(bytes)) throw new Error('no bytes');
    const plain = key.unseal({ purpose: 'pack', context: String(pack), sealed: bytes });
    const text = Buffer.from(await createCodec().expand({ bytes: plain, maxBytes: 1_000_000 })).toString('utf8');
    unsealed.push({ where: 'packs', text });
  }
  return unsealed;
}
