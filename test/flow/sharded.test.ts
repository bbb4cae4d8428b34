import { randomBytes } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import { createIntakeKey, createOpener, intakeJobSchema } from '../../src/adapters/intake/seal.ts';
import { openQueueBackend } from '../../src/adapters/queue/backend.ts';
import { createClient } from '../../src/client.ts';
import { requestOf as handedIn } from '../support/fake-service.ts';
import { type OwnCluster, startOwnCluster } from '../support/own-cluster.ts';
import { sayWhenOwnServersAreMissing } from '../support/own-servers.ts';
import { type System, startSystem } from '../support/system.ts';
import { findServices, missingOf, type Place, postgresPlace } from '../support/system-places.ts';
import { findIn, tracesInRedis } from '../support/system-traces.ts';
import { until } from '../support/system-until.ts';
import { HOUR_MS, overlapsOf, requestOf, startWorld } from '../support/world.ts';

const HOURLY = { pullEverySeconds: 3_600 } as const;
/** Not made of an authorization's id: an endpoint's gate outlives its authorizations. */
const ENDPOINT = { id: 'payer-of-all', name: 'Payer' } as const;
const CAP_MS = 60_000;

const { postgres } = await findServices();
const missing = missingOf({ postgres, redisUrl: '' });
const here = sayWhenOwnServersAreMissing();
const cluster: OwnCluster | null = here ? await startOwnCluster() : null;
afterAll(() => cluster?.close());

describe.skipIf(cluster === null)(`on a Redis Cluster ${missing}`, () => {
  const { url, nodes } = cluster ?? { url: '', nodes: [] };
  /** Every place in the Cluster that names one of them. */
  const namedIn = async (values: readonly string[]) => {
    const traces = await Promise.all(
      nodes.map(({ port }) => tracesInRedis({ url: `redis://127.0.0.1:${port}`, prefix: '' })),
    );
    return findIn({ traces: traces.flat(), values });
  };

  test.skipIf(postgres === null)(
    'a life in four shards, then in two at once with the four, then in two alone: pulled and refreshed all the while, never twice at once, and purged without a trace in either',
    { timeout: 150_000 },
    async () => {
      if (postgres === null) return;
      const world = await startWorld();
      const base = await postgresPlace(postgres);
      const place = (shards: number): Place => ({
        ...base,
        settings: {
          ...base.settings,
          ENCRYPTION_KEYS: keys,
          REDIS_URL: url,
          QUEUE_SHARDS: String(shards),
          QUEUE_PREFIX: 'life',
        },
      });
      const keys = `test:${randomBytes(32).toString('base64')}`;
      const four = await startSystem({ place: place(4), world });
      const ids = ['one', 'two', 'three', 'four', 'five'].map((name) => `sharded-${name}`);
      const links = new Map<string, string>();
      for (const id of ids) {
        const link = await world.link({ exchanged: true, knobs: { accessTokenMs: 2 * HOUR_MS } });
        links.set(id, link.authorizationId);
        await four.accept(requestOf(link, { id, cadence: HOURLY, endpoint: ENDPOINT }));
      }
      const once = await world.link({ usage: 'ONE_TIME' });
      await four.accept(requestOf(once, { id: 'sharded-once', usage: 'ONE_TIME', endpoint: ENDPOINT }));
      await four.reaches('sharded-once', 'fetched', ({ lastPull }) => lastPull?.result === 'complete', CAP_MS);
      for (const id of ids) await four.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete', CAP_MS);
      const [early = '', late = ''] = ids;
      await purged(four, early);
      expect(await namedIn([early])).toEqual([]);
      // Control: the others are found.
      expect(await namedIn([late])).not.toEqual([]);

      const two = await startSystem({ place: place(2), world });
      const left = ids.slice(1);
      await eachPulls(two, left);
      // Its jobs lie in the four.
      await purged(two, late);
      expect(await namedIn([late])).toEqual([]);

      await four.stop();
      const last = left.filter((id) => id !== late);
      await until(
        'all are scheduled in the two',
        () => Promise.all(last.map((id) => two.context.queue.isScheduled(id))),
        (there) => there.every(Boolean),
        { capMs: CAP_MS },
      );
      await eachPulls(two, last);
      for (const id of last) {
        const row = await world.row(links.get(id) ?? '');
        expect(row).toMatchObject({ alive: true, reusedRefreshTokens: 0, refusedRefreshTokens: 0 });
        expect(row.refreshes).toBeGreaterThan(0);
      }
      expect(overlapsOf(world.seen)).toEqual([]);
      for (const id of last) await two.purge(id);
      for (const id of last) await two.reaches(id, 'purged', ({ state }) => state === 'purged', CAP_MS);
      expect(await namedIn(last)).toEqual([]);
      await two.stop();
      await world.close();
      await base.close();
    },
  );

  test('other services hand in by the same URL, sealed, and a worker finds it under the intake queue of the Cluster', async () => {
    const key = await createIntakeKey();
    const open = createOpener({ privateJwks: [{ kid: key.kid, jwk: key.privateJwk }] });
    const client = createClient({ redisUrl: url, workerKey: key.publicJwk, queuePrefix: 'handed', service: 'portal' });
    const sent = await client.enqueue(handedIn('handed-in'));
    const backend = await openQueueBackend({ place: { kind: 'redis', url, shards: 4 }, prefix: 'handed' });
    const taken = Promise.withResolvers<unknown>();
    const worker = backend.createWorker(
      { name: 'intake', shard: backend.layout.intake },
      async ({ data }) => taken.resolve(await open(intakeJobSchema.parse(data).sealed ?? '')),
      { concurrency: 1 },
    );
    worker.on('error', () => {});
    expect(await taken.promise).toMatchObject({ id: 'handed-in' });
    expect(sent.via === 'queue' ? await client.outcome(sent.jobId, { timeoutMs: 5_000 }) : null).toBe('accepted');
    await worker.close();
    expect((await backend.trail.sweep(['handed-in'])).get('handed-in')?.jobs).toBe(1);
    expect(await namedIn(['handed-in'])).toEqual([]);
    await backend.close();
    await client.close();
  });

  async function eachPulls(system: System, ids: readonly string[]): Promise<void> {
    await Promise.all(ids.map((id) => system.pulledAgain(id)));
  }

  async function purged(system: System, id: string): Promise<void> {
    await system.purge(id);
    await system.reaches(id, 'purged', ({ state }) => state === 'purged', CAP_MS);
  }
});
