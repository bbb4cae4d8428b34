import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lockDataDir } from '../../src/adapters/store/lock.ts';
import { readEnvironment } from '../../src/config.ts';
import { compose } from '../../src/main/compose.ts';
import { temporaryFolder } from '../support/databases.ts';
import { freePort, killLeftovers, newKey, runToEnd } from '../support/processes.ts';
import { findServices, missingOf, type Place, productionPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';

/** Stands in every value that is refused, and may stand in nothing that is printed. */
const CANARY = 'canary5ecret';
/** Under 5 s on an idle machine; beside all other tests on two cores thrice that. What hangs is not refused. */
const REFUSED_WITHIN_MS = 15_000;
const NOBODY_LISTENS = 1;

const SOURCE = { kind: 'flexpa', publishableKey: 'pk', secretKey: 'sk' };
const SOURCES = JSON.stringify({ loopback: { ...SOURCE, baseUrl: 'http://127.0.0.1:1' } });
const KEYS = newKey();

type Refusal = readonly [what: string, named: RegExp, settings: Readonly<Record<string, string>>];

const REFUSALS: readonly Refusal[] = [
  ['no key', /ENCRYPTION_KEYS is missing/, { ENCRYPTION_KEYS: '' }],
  ['a short key', /ENCRYPTION_KEYS entry 1/, { ENCRYPTION_KEYS: `k:${Buffer.from(CANARY).toString('base64')}` }],
  ['an unknown log level', /LOG_LEVEL/, { LOG_LEVEL: CANARY }],
  ['sources that are not JSON', /SOURCES is not JSON/, { SOURCES: `{"${CANARY}"` }],
  ['a source that is not https', /SOURCES s\.baseUrl must be https/, { SOURCES: sourceAt(`http://${CANARY}.example`) }],
  ['a short API key', /API_KEYS the key of portal/, { API_KEYS: `portal=${CANARY}` }],
  ['a dashboard that anybody reaches', /DASHBOARD_USER and DASHBOARD_PASSWORD/, { HOST: '0.0.0.0' }],
  ['a Postgres that is away', /DATABASE_URL/, { DATABASE_URL: `postgres://u:${CANARY}@127.0.0.1:${NOBODY_LISTENS}/x` }],
];

afterAll(killLeftovers);

describe.concurrent('a start is refused with one line that names the setting and never its value', () => {
  test.each(REFUSALS)('%s', async (_what, named, settings) => {
    const folder = await temporaryFolder();
    await expectRefused({ named, env: { DATA_DIR: join(folder.path, 'data'), ...settings } });
    await folder.remove();
  });

  test('a folder that another process uses', async () => {
    const folder = await temporaryFolder();
    const dataDir = join(folder.path, 'data');
    const lock = await lockDataDir({ dataDir, pid: process.pid });
    await expectRefused({ named: /DATA_DIR/, env: { DATA_DIR: dataDir } });
    await lock.release();
    await folder.remove();
  });

  test('control: what does start is caught by the same look', async () => {
    await expect(expectRefused({ named: /./, args: ['--version'], env: {} })).rejects.toThrow();
  });
});

const services = await findServices();
const { postgres, redisUrl } = services;

if (postgres === null || redisUrl === null) {
  describe.skip(`a start on Redis and Postgres ${missingOf(services)}`, () => {
    test('is refused with one line', () => undefined);
  });
} else {
  describe.concurrent('a start on Redis and Postgres is refused with one line that names the setting', () => {
    let place: Place | null = null;
    const settings = (): Readonly<Record<string, string>> => {
      if (place === null) throw new Error('no place');
      return place.settings;
    };

    beforeAll(async () => {
      place = await productionPlace({ postgres, redisUrl });
      const environment = readEnvironment({ ...place.settings, ENCRYPTION_KEYS: KEYS, SOURCES, LOG_LEVEL: 'silent' });
      await (await compose(environment)).close();
    });

    afterAll(async () => {
      await place?.close();
    });

    test.each([
      ['Redis is away', /REDIS_URL/, { REDIS_URL: `redis://u:${CANARY}@127.0.0.1:${NOBODY_LISTENS}` }],
      [
        'the key database is away',
        /KEY_DATABASE_URL/,
        { KEY_DATABASE_URL: `postgres://u:${CANARY}@127.0.0.1:${NOBODY_LISTENS}/x` },
      ],
      ['the keys do not open the data that is there', /ENCRYPTION_KEYS/, { ENCRYPTION_KEYS: newKey() }],
    ] as const)('%s', async (_what, named, change) => {
      await expectRefused({ named, env: { ...settings(), ...change } });
    });

    test('the port is taken', async () => {
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
      const address = taken.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      await expectRefused({ named: /PORT/, env: { ...settings(), PORT: String(port) } });
      await new Promise((resolve) => taken.close(resolve));
    });

    test('the database was migrated by a newer version', async () => {
      const newer = await productionPlace({ postgres, redisUrl });
      const environment = readEnvironment({ ...newer.settings, ENCRYPTION_KEYS: KEYS, SOURCES, LOG_LEVEL: 'silent' });
      await (await compose(environment)).close();
      await newer.sql?.(
        `insert into perennial.schema_migrations (name, timestamp) values ('9999-from-the-future', 'x')`,
      );
      await expectRefused({ named: /newer version.*DATABASE_URL/, env: newer.settings });
      await newer.close();
    });

    test('Redis may evict keys', async () => {
      const port = await freePort();
      const options = [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--save',
        '',
        '--maxmemory-policy',
        'allkeys-lru',
      ];
      const redis = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'ignore'] });
      const said: string[] = [];
      redis.stdout.on('data', (chunk: Buffer) => said.push(chunk.toString()));
      await until(
        'Redis is ready',
        () => said.join(''),
        (text) => text.includes('Ready to accept connections'),
      );
      await expectRefused({
        named: /noeviction.*REDIS_URL/,
        env: { ...settings(), REDIS_URL: `redis://127.0.0.1:${port}` },
      });
      redis.kill('SIGTERM');
    });
  });
}

/** Runs it until it ends, and looks at how it ended. */
async function expectRefused({
  named,
  args = ['start'],
  env,
}: {
  readonly named: RegExp;
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}): Promise<void> {
  const run = await runToEnd({ args, env: { ENCRYPTION_KEYS: KEYS, SOURCES, PORT: '0', ...env } });
  expect(run.stderr()).toMatch(named);
  expect(run.stderr().trimEnd().split('\n'), 'one line').toHaveLength(1);
  expect(run.code, run.stderr()).toBeGreaterThan(0);
  const printed = `${run.stdout()}${run.stderr()}`;
  for (const secret of [CANARY, Buffer.from(CANARY).toString('base64'), KEYS]) expect(printed).not.toContain(secret);
  expect(run.afterMs).toBeLessThan(REFUSED_WITHIN_MS);
}

function sourceAt(baseUrl: string): string {
  return JSON.stringify({ s: { ...SOURCE, baseUrl } });
}
