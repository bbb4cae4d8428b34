import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWebServer, type WebServer } from '../../src/adapters/web/server.ts';
import type { Context } from '../../src/flows/context.ts';
import { createService } from '../../src/flows/serve.ts';
import { signatureOf } from '../../src/sandbox/webhooks.ts';
import { createFakeService } from '../support/fake-service.ts';
import { canStartRedis } from '../support/own-redis.ts';
import { type OwnServer, type OwnServers, openServers } from '../support/own-servers.ts';
import { type System, startSystem } from '../support/system.ts';
import { findServices, missingOf, type Place, productionPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { createLogMemory, webOptions } from '../support/web.ts';
import { type Link, requestOf, startWorld, WEBHOOK_SECRET, type World } from '../support/world.ts';

/** Past the minute after which the sweep repairs a run that never came. */
const TWO_MINUTES_MS = 120_000;
/** Whoever sends webhooks waits for seconds, and so long a source may wait for its answer while Redis is away. */
const ANSWERED_WITHIN_MS = 5_000;

const services = await findServices();
const { postgres } = services;

type Stage = {
  readonly world: World;
  readonly place: Place;
  readonly system: System;
  readonly servers: OwnServers;
  readonly redis: OwnServer;
  /** Takes webhooks as it should, and notes what it logs. */
  readonly web: WebServer & { readonly lines: ReturnType<typeof createLogMemory>['lines'] };
  /** Answers alike, and writes nothing down. */
  readonly forgetful: WebServer;
};

if (postgres === null || !canStartRedis) {
  describe.skip(`a webhook that comes while Redis is away ${missingOf(services)}`, () => {
    test('is not lost', () => undefined);
  });
} else {
  describe('a webhook that comes while Redis is away', () => {
    let stage: Stage;
    beforeAll(async () => {
      const servers = await openServers();
      const redis = await servers.start([]);
      // At the speed of the wall: no slot comes while the test lasts, and only the sweep can bring the run.
      const world = await startWorld({ speed: 1 });
      const place = await productionPlace({ postgres, redisUrl: `redis://127.0.0.1:${redis.port}` });
      const system = await startSystem({ place, world });
      const { context } = system;
      const forgetful = { ...context, store: { ...context.store, takeHook: async () => ['somebody'] } };
      const [web, other] = [await startHooks(context), await startHooks(forgetful)];
      stage = { world, place, system, servers, redis, web, forgetful: other };
    });
    afterAll(async () => {
      const { web, forgetful, system, world, place, servers } = stage;
      await Promise.all([web.close(), forgetful.close()]);
      await system.stop();
      await world.close();
      await place.close();
      await servers.close();
    });

    test.each([
      ['as it was', false],
      ['empty', true],
    ] as const)('is answered and remembered, and its pull comes once Redis is back %s', async (_how, isEmpty) => {
      const { world, system, redis, web, forgetful } = stage;
      const [id, lost] = [isEmpty ? 'told-for-an-empty-one' : 'told', isEmpty ? 'lost-for-an-empty-one' : 'lost'];
      const links = [await settled(stage, id), await settled(stage, lost)] as const;
      const atRest = await world.row(links[1].authorizationId);
      const { added, toldAt } = await whileRedisIsAway(redis, async () => {
        const changes = await Promise.all(links.map(({ patient }) => world.change(patient, { add: 1 })));
        const before = world.clock.now();
        const body = bodyOf(links[0]);
        expect(await send(web, body)).toBe(204);
        // Its sender saw no answer, and sends once more.
        expect(await send(web, body)).toBe(204);
        expect(await send(forgetful, bodyOf(links[1]))).toBe(204);
        const mine = web.lines.filter(({ fields }) => fields['authorizationId'] === id);
        const waits = mine.filter(({ event }) => event === 'hook_waits');
        expect(waits.map(({ fields }) => fields['code'])).toEqual(['queue_unreachable']);
        const stands = await system.context.store.get(id);
        expect(stands?.toldAt).toBeGreaterThanOrEqual(before);
        expect(stands?.nextRunAt).toBe(stands?.toldAt);
        return { added: changes[0]?.added ?? [], toldAt: stands?.toldAt ?? Number.POSITIVE_INFINITY };
      });
      if (isEmpty) await redis.redis.flushall();
      await minutesPass(stage);
      const isHere = ({ added: here }: { readonly added: readonly string[] }) =>
        added.every((one) => here.includes(one));
      expect(added).not.toEqual([]);
      await until('the news are here', () => system.changes(id), isHere);
      const view = await system.reaches(id, 'planned', ({ nextRunAt }) => Date.parse(nextRunAt ?? '') > Date.now());
      expect(Date.parse(view.lastPull?.at ?? '')).toBeGreaterThan(toldAt);
      // Control: news that nobody wrote down are not pulled, though the same sweep has looked at all.
      expect(await system.context.store.get(lost)).toMatchObject({ toldAt: null });
      expect(await world.row(links[1].authorizationId)).toEqual(atRest);
    });

    test('a doubt that comes meanwhile has the refresh token offered once Redis is back', async () => {
      const { system, redis, web } = stage;
      const id = 'doubted';
      const link = await settled(stage, id);
      const { store } = system.context;
      const before = (await store.tokens(id))?.version ?? Number.NaN;
      await whileRedisIsAway(redis, async () => expect(await send(web, bodyOf(link, 'refresh_expired'))).toBe(204));
      expect(await store.tokens(id)).toMatchObject({ version: before });
      await minutesPass(stage);
      await until(
        'a new pair',
        () => store.tokens(id),
        (tokens) => tokens?.version === before + 1,
      );
    });

    test('a pull that a person asks for meanwhile is answered and remembered too', async () => {
      const { world, system, redis } = stage;
      const id = 'asked';
      await settled(stage, id);
      const askedAt = world.clock.now();
      await whileRedisIsAway(redis, () => system.service.pullNow({ id, actor: 'test' }));
      expect((await system.context.store.get(id))?.toldAt).toBeGreaterThanOrEqual(askedAt);
      await minutesPass(stage);
      await system.reaches(id, 'pulled', ({ lastPull }) => Date.parse(lastPull?.at ?? '') >= askedAt - 1);
    });
  });
}

/** Comes back whatever happens meanwhile: a worker that stops waits for it. */
async function whileRedisIsAway<T>(redis: OwnServer, work: () => Promise<T>): Promise<T> {
  await redis.kill();
  try {
    return await work();
  } finally {
    await redis.revive();
  }
}

/** The real flow behind the real route. */
async function startHooks(context: Context): Promise<Stage['web']> {
  const { log, lines } = createLogMemory();
  const service = createService({ ...context, log });
  const server = await createWebServer({ ...webOptions({ service: createFakeService(), log }), service });
  return { ...server, lines };
}

/** Accepted, pulled, and with nothing left to do until its next slot. */
async function settled({ world, system }: Stage, id: string): Promise<Link> {
  const link = await world.link({ exchanged: true });
  await system.accept(requestOf(link, { id, source: 'telling' }));
  await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
  await until(
    'it rests',
    () => system.jobsOf(id),
    (jobs) => jobs.every(({ state }) => state === 'delayed'),
  );
  return link;
}

function bodyOf({ authorizationId }: Link, event = 'sync_completed'): string {
  const data = { mode: 'test', patient_authorization_id: authorizationId, consent_id: randomUUID() };
  return JSON.stringify({ event_id: randomUUID(), event, version: 1, timestamp: Date.now(), data });
}

async function send({ url }: WebServer, body: string): Promise<number> {
  const signature = signatureOf({ secret: WEBHOOK_SECRET, body, wallNow: Date.now() });
  const headers = { 'content-type': 'application/json', 'x-flexpa-signature': signature };
  const signal = AbortSignal.timeout(ANSWERED_WITHIN_MS);
  return (await fetch(`${url}/v1/hooks/telling`, { method: 'POST', headers, body, signal })).status;
}

/** Instead of waiting for the plan to be overdue, the plan is moved; that of whom nobody was told of lies ahead still. */
async function minutesPass({ place, system }: Stage): Promise<void> {
  await until(
    'the queue can be used',
    () =>
      system.context.queue.ping().then(
        () => true,
        () => false,
      ),
    (usable) => usable,
  );
  await place.sql?.('update perennial.authorizations set next_run_at = next_run_at - $1::double precision', [
    TWO_MINUTES_MS,
  ]);
}
