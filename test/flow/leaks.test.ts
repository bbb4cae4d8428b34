import { dirname } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { publicJwkSchema } from '../../src/adapters/intake/seal.ts';
import { createClient } from '../../src/client.ts';
import { namedToken } from '../../src/sandbox/random.ts';
import { oddLines } from '../support/log-lines.ts';
import { API_KEY, killLeftovers, newKey, type Served, serve, settingsOf } from '../support/processes.ts';
import {
  embeddedPlace,
  findServices,
  missingOf,
  type Place,
  productionPlace,
  runsEmbeddedToo,
} from '../support/system-places.ts';
import { findIn, type Trace, tracesInFolder, tracesInPostgres, tracesInRedis } from '../support/system-traces.ts';
import { until } from '../support/system-until.ts';
import { HOUR_MS, type Link, requestOf, SEED, startWorld, type World } from '../support/world.ts';

/** More refresh tokens than one authorization gets here. */
const ROTATIONS = 12;
/** Of each patient; a secret more costs a look through some 100 MB of database files. */
const RECORDS_LOOKED_FOR = 5;
const OFTEN = { pullEverySeconds: 1_200 } as const;

const services = await findServices();
const { postgres, redisUrl } = services;

afterAll(killLeftovers);

if (postgres === null || redisUrl === null) {
  describe.skip(`what Redis, Postgres and the logs hold ${missingOf(services)}`, () => {
    test('no token and no health data', () => undefined);
  });
} else {
  holdsNoSecret('Redis, Postgres and the logs', () => productionPlace({ postgres, redisUrl }));
}
if (await runsEmbeddedToo()) holdsNoSecret('the embedded database and the logs', embeddedPlace);
else {
  describe.skip('what the embedded database and the logs hold SKIPPED: REDIS AND POSTGRES ANSWER; PERENNIAL_EMBEDDED_ONLY=1 RUNS IT', () => {
    test('no secret', () => undefined);
  });
}

/** Lives through exchange, refresh, pulls, refusals and a purge, then reads all that was written on the way. */
function holdsNoSecret(name: string, open: () => Promise<Place>): void {
  describe(`what ${name} hold after a life`, () => {
    let world: World;
    let place: Place;
    let server: Served;
    let secrets: readonly string[] = [];
    let traces: readonly Trace[] = [];
    const encryptionKeys = newKey();

    beforeAll(async () => {
      world = await startWorld({ knobs: { accessTokenMs: HOUR_MS / 2 } });
      place = await open();
      server = await serve({ command: 'start', env: settingsOf({ place, world, encryptionKeys }) });
      const links = await live({ world, place, server });
      secrets = [...(await secretsOf(world, links)), ...encryptionKeys.split(':').slice(1), API_KEY, 'sk_test_sandbox'];
      server.signal('SIGTERM');
      await server.exit;
      traces = await tracesOf({ place, server });
    });

    afterAll(async () => {
      await killLeftovers();
      await world.close();
      await place.close();
    });

    test('no token, no key and nothing about a patient', () => {
      expect(traces.length).toBeGreaterThan(10);
      expect(findIn({ traces, values: secrets })).toEqual([]);
    });

    test('the logs tell events by authorization id, in JSON lines of known fields and shapes alone', () => {
      expect(oddLines(server.stdout().split('\n'))).toEqual([]);
      expect(server.events('pull_ended').join('\n')).toContain('"authorizationId":"leak-public"');
      expect(server.stderr()).toBe('');
    });

    test('control: a secret that is written to any of these places is found there', async () => {
      const [secret = ''] = secrets;
      const base64 = Buffer.from(secret).toString('base64url');
      const planted: Trace[] = [{ where: 'logs', text: `{"level":"info","reason":"${base64}"}` }];
      if (place.redis !== null) {
        const redis = new Redis(place.redis.url);
        await redis.xadd(`${place.redis.prefix}:planted`, '*', 'failedReason', secret);
        redis.disconnect();
        planted.push(...(await tracesInRedis(place.redis)));
      }
      if (place.sql !== null) {
        await place.sql('create table perennial.planted (bytes bytea)');
        await place.sql('insert into perennial.planted values ($1)', [Buffer.from(secret)]);
        planted.push(...(await tracesInPostgres(place.sql)));
      }
      const found = findIn({ traces: planted, values: [secret] });
      expect(found).toHaveLength(1 + (place.redis === null ? 0 : 1) + (place.sql === null ? 0 : 1));
    });
  });
}

async function live({
  world,
  place,
  server,
}: {
  readonly world: World;
  readonly place: Place;
  readonly server: Served;
}): Promise<readonly Link[]> {
  const [public_, handed, once, ended, revoked, partial] = [
    await world.link({}),
    await world.link({ exchanged: true }),
    await world.link({ usage: 'ONE_TIME', knobs: { accessTokenMs: 24 * HOUR_MS } }),
    await world.link({ exchanged: true }),
    await world.link({}),
    await world.link({
      knobs: { everythingPageSize: 10, pageFaultOnRequest: 2, pageFaultRepeats: true, pageFaultKind: 'html' },
    }),
  ];
  const { api } = server;
  await api.enqueue(requestOf(handed, { id: 'leak-handed', cadence: OFTEN }));
  await handOverThroughRedis({ place, server, request: requestOf(public_, { id: 'leak-public', cadence: OFTEN }) });
  await api.enqueue(requestOf(once, { id: 'leak-once', usage: 'ONE_TIME' }));
  await api.enqueue(requestOf(ended, { id: 'leak-ended' }));
  await api.enqueue(requestOf(revoked, { id: 'leak-revoked', cadence: OFTEN }));
  await api.enqueue(requestOf(partial, { id: 'leak-partial' }));
  await refusedWith({
    server,
    request: { ...requestOf(handed, { id: 'leak-handed' }), usage: 'ONE_TIME' },
    status: 409,
  });
  await refusedWith({
    server,
    request: { ...requestOf(handed, { id: 'leak-bad' }), accessToken: 7, surprise: handed.token?.access_token },
    status: 400,
  });
  for (const id of ['leak-public', 'leak-handed', 'leak-once', 'leak-ended', 'leak-revoked']) {
    await server.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
  }
  await server.reaches('leak-partial', 'partial', ({ failedRuns }) => failedRuns > 1);
  await world.revoke(revoked.authorizationId);
  await api.purge('leak-ended');
  await server.reaches('leak-ended', 'purged', ({ state }) => state === 'purged');
  await server.reaches('leak-revoked', 'stopped', ({ state }) => state === 'needs_reauthorization');
  expect(await server.records('leak-handed')).not.toEqual([]);
  for (const link of [public_, handed]) {
    await until(
      'refreshed',
      () => world.row(link.authorizationId),
      ({ refreshes }) => refreshes > 0,
    );
  }
  return [public_, handed, once, ended, revoked, partial];
}

async function handOverThroughRedis({
  place,
  server,
  request,
}: {
  readonly place: Place;
  readonly server: Served;
  readonly request: ReturnType<typeof requestOf>;
}): Promise<void> {
  if (place.redis === null) {
    await server.api.enqueue(request);
    return;
  }
  const headers = { authorization: `Bearer ${API_KEY}` };
  const workerKey = publicJwkSchema.parse(await (await fetch(`${server.url}/v1/intake-key`, { headers })).json());
  const { url: redisUrl, prefix: queuePrefix } = place.redis;
  const client = createClient({ redisUrl, queuePrefix, workerKey, service: 'portal' });
  const enqueued = await client.enqueue(request);
  if (enqueued.via !== 'queue') throw new Error('it went another way');
  expect(await client.outcome(enqueued.jobId, { timeoutMs: 20_000 })).toBe('accepted');
  await client.close();
}

async function refusedWith({
  server,
  request,
  status,
}: {
  readonly server: Served;
  readonly request: unknown;
  readonly status: number;
}): Promise<void> {
  const response = await fetch(`${server.url}/v1/authorizations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  expect(response.status).toBe(status);
}

/** Every token that was or could have been issued, and what stands in the records. */
async function secretsOf(world: World, links: readonly Link[]): Promise<readonly string[]> {
  const secrets: string[] = [];
  // All access tokens are JWTs of the source's: their claims begin alike.
  secrets.push(Buffer.from(`{"iss":"${world.url}"`).toString('base64url').slice(0, 24));
  for (const { authorizationId, patient, publicToken, token } of links) {
    secrets.push(patient.replace('Patient/', ''), authorizationId);
    for (const given of [publicToken, token?.access_token]) if (given !== undefined) secrets.push(given);
    for (let nth = 1; nth <= ROTATIONS; nth += 1) secrets.push(namedToken(`${SEED}/${authorizationId}/refresh/${nth}`));
    const records = await world.records(patient);
    const person = records.filter((line) => line.includes('"resourceType":"Patient"'));
    for (const line of [...person, ...records.slice(0, RECORDS_LOOKED_FOR)]) {
      const id = /"id":"([^"]{8,})"/.exec(line)?.[1];
      const family = /"family":"([^"]{4,})"/.exec(line)?.[1];
      for (const found of [id, family]) if (found !== undefined) secrets.push(found);
    }
  }
  const [handed] = links.slice(1);
  expect(secrets.length, 'ids and names of every patient').toBeGreaterThan(
    links.length * (ROTATIONS + RECORDS_LOOKED_FOR),
  );
  expect(secrets, 'the tokens are computed as they are issued').toContain(handed?.token?.refresh_token);
  return [...new Set(secrets)];
}

async function tracesOf({
  place,
  server,
}: {
  readonly place: Place;
  readonly server: Served;
}): Promise<readonly Trace[]> {
  const logs = `${server.stdout()}${server.stderr()}`.split('\n').map((text): Trace => ({ where: 'logs', text }));
  return [
    ...logs,
    ...(place.redis === null ? [] : await tracesInRedis(place.redis)),
    ...(place.sql === null ? [] : await tracesInPostgres(place.sql)),
    ...(await tracesInFolder(dirname(place.dataDir))),
  ];
}
