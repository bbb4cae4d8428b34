import { afterAll, describe, expect, test } from 'vitest';
import { publicJwkSchema } from '../../src/adapters/intake/seal.ts';
import { createHttpApi } from '../../src/client/http.ts';
import { type Client, createClient } from '../../src/client.ts';
import type { AuthorizationRequest, AuthorizationView } from '../../src/contract/wire.ts';
import { seededRng } from '../../src/sandbox/random.ts';
import {
  API_KEY,
  killLeftovers,
  newKey,
  type Process,
  type Served,
  serve,
  settingsOf,
  startProcess,
} from '../support/processes.ts';
import { findServices, missingOf, type Place, productionPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import {
  HOUR_MS,
  type Link,
  MINUTE_MS,
  overlapsOf,
  requestOf,
  type Seen,
  startWorld,
  type World,
} from '../support/world.ts';

const SEED = 'two-workers/1';
const SOAK = process.env['PERENNIAL_SOAK'] === '1';
const KILLS = 5;
/** Wall time between two blows: a job, a lease and a restart all take less, so they fall anywhere in them. */
const BLOW_EVERY_MS = { min: 900, max: 2_600 } as const;
/** A run that a kill cut off comes back with its next slot; one whose job was lost with it, by the sweep a minute later. */
const SETTLED_WITHIN_MS = 100_000;

const KINDS = ['kept', 'kept_lost_reply', 'kept_throttled', 'once', 'fallback', 'revoked', 'ended'] as const;
type Kind = (typeof KINDS)[number];
const CAST: Readonly<Record<Kind, number>> = {
  kept: 20,
  kept_lost_reply: 4,
  kept_throttled: 2,
  once: 6,
  fallback: 3,
  revoked: 3,
  ended: 2,
};
type Member = { readonly id: string; readonly kind: Kind; readonly link: Link; readonly request: AuthorizationRequest };

const services = await findServices();
const { postgres, redisUrl } = services;

afterAll(killLeftovers);

describe('two requests of one authorization at once', () => {
  const seen = (startedAt: number, endedAt: number | null, authorizationId = 'a'): Seen => {
    return { method: 'GET', path: '/fhir/Patient', authorizationId, startedAt, endedAt, status: 200 };
  };

  test('control: are counted as an overlap, and requests one after the other or of two authorizations are not', () => {
    expect(overlapsOf([seen(0, 10), seen(5, 15)])).toHaveLength(1);
    expect(overlapsOf([seen(0, null), seen(5, 15)])).toHaveLength(1);
    expect(overlapsOf([seen(0, 10), seen(10, 15), seen(5, 9, 'b')])).toEqual([]);
  });
});

if (!SOAK) {
  // The same promises are kept in test/fleet/faults.test.ts, under more faults.
  describe.skip('two workers, killed and restarted (PERENNIAL_SOAK=1)', () => {
    test('lose no authorization', () => undefined);
  });
} else if (postgres === null || redisUrl === null) {
  describe.skip(`two workers, killed and restarted ${missingOf(services)}`, () => {
    test('lose no authorization', () => undefined);
  });
} else {
  describe('two workers, killed and restarted', () => {
    test('bring every authorization to where it should end: none lost, none overlapping, no token reused outside grace', async () => {
      const world = await startWorld({
        knobs: {
          accessTokenMs: HOUR_MS,
          oldRefreshToken: 'grace-same',
          refreshGraceMs: 3 * HOUR_MS,
          slowFhirMs: MINUTE_MS,
        },
      });
      const place = await productionPlace({ postgres, redisUrl });
      const fleet = await startFleet({ world, place });
      const members = await castOf(world);
      const handOver = await doorsOf({ fleet, place });

      const public_ = members.filter(({ request }) => request.publicToken !== undefined);
      await Promise.all(public_.map(handOver));
      await until(
        'every exchange is over',
        () => fleet.views(),
        (views) => {
          return public_.every(({ id }) => (views.get(id)?.state ?? 'pending') !== 'pending');
        },
      );

      const blows = strike(fleet);
      for (const member of members.filter(({ request }) => request.accessToken !== undefined)) await handOver(member);
      await disturb({ world, fleet, members });
      await blows;
      for (const member of members) await handOver(member).catch(ignorePurged);

      await until(
        'every authorization is where it should end',
        () => fleet.views(),
        (views) => {
          return members.every((member) => isSettled(member, views.get(member.id)));
        },
        { capMs: SETTLED_WITHIN_MS, everyMs: 250 },
      );
      await expectKeptWhole({ world, fleet, members });
      await expectBooksAgree({ world, members });
      // A purge waits for no page: it takes the lease from the pull and revokes while the source still writes its answer.
      expect(overlapsOf(world.seen.filter(({ path }) => path !== '/link/revoke'))).toEqual([]);
      await fleet.stop();
      await world.close();
      await place.close();
    }, 180_000);
  });
}

type Fleet = {
  readonly web: Served;
  readonly workers: Process[];
  readonly startWorker: () => Promise<Process>;
  readonly views: () => Promise<ReadonlyMap<string, AuthorizationView>>;
  readonly stop: () => Promise<void>;
};

async function startFleet({ world, place }: { readonly world: World; readonly place: Place }): Promise<Fleet> {
  const env = settingsOf({ place, world, encryptionKeys: newKey() });
  const startWorker = async (): Promise<Process> => {
    const worker = startProcess({ args: ['worker'], env });
    await worker.line(/"event":"(worker_started)"/);
    return worker;
  };
  const [web, ...workers] = await Promise.all([serve({ command: 'web', env }), startWorker(), startWorker()]);
  return {
    web,
    workers,
    startWorker,
    views: async () => {
      const { authorizations } = await web.api.list({ limit: 500 });
      return new Map(authorizations.map((view) => [view.id, view]));
    },
    stop: async () => {
      for (const process of [...workers, web]) {
        process.signal('SIGTERM');
        expect(await process.exit).toMatchObject({ code: 0, signal: null });
      }
    },
  };
}

/** Forty authorizations of all kinds at endpoints of all three networks, half of them with tokens of an exchange done elsewhere. */
async function castOf(world: World): Promise<readonly Member[]> {
  const endpoints = ['commons-exchange', 'meadowlark-health-plan', 'riverbend-clinic'];
  const kinds = KINDS.flatMap((kind) => Array.from({ length: CAST[kind] }, () => kind));
  const members: Member[] = [];
  for (const [index, kind] of kinds.entries()) {
    const usage = kind === 'once' ? 'ONE_TIME' : 'MULTIPLE';
    const endpoint = kind === 'fallback' ? 'old-harbor-insurance' : (endpoints[index % endpoints.length] ?? '');
    const exchanged = index % 2 === 1;
    const link = await world.link({ usage, endpoint, exchanged, knobs: knobsOf(kind) });
    const id = `${kind.replaceAll('_', '-')}-${index}`;
    const cadence = { pullEverySeconds: 40 * 60 };
    members.push({
      id,
      kind,
      link,
      request: requestOf(link, { id, usage, ...(usage === 'MULTIPLE' ? { cadence } : {}) }),
    });
  }
  return members;
}

function knobsOf(kind: Kind): Parameters<World['turn']>[1] {
  switch (kind) {
    case 'kept_lost_reply':
      return { lostReplies: 1 };
    case 'kept_throttled':
      return { everythingPageSize: 8, throttleRequests: 2, throttleWindowMs: 5 * MINUTE_MS };
    case 'once':
    case 'fallback':
      return { accessTokenMs: 2 * HOUR_MS };
    default:
      return { everythingPageSize: 12 };
  }
}

/** Hands requests over, by HTTP and through Redis in turn; again and again if need be, since the id makes it one. */
async function doorsOf({
  fleet,
  place,
}: {
  readonly fleet: Fleet;
  readonly place: Place;
}): Promise<(member: Member) => Promise<unknown>> {
  const { web } = fleet;
  const headers = { authorization: `Bearer ${API_KEY}` };
  const workerKey = publicJwkSchema.parse(await (await fetch(`${web.url}/v1/intake-key`, { headers })).json());
  const http = createClient({ url: web.url, apiKey: API_KEY });
  const { url: redisUrl = '', prefix: queuePrefix = '' } = place.redis ?? {};
  const queue = createClient({ redisUrl, queuePrefix, workerKey, service: 'portal' });
  const close = (client: Client): void => void client.close();
  void web.exit.then(() => [http, queue].map(close));
  let turn = 0;
  return (member) => {
    turn += 1;
    return (turn % 2 === 0 ? http : queue).enqueue(member.request);
  };
}

/** Kills one worker again and again at seeded moments and starts it anew, and stops the other one well, once. */
async function strike(fleet: Fleet): Promise<void> {
  const random = seededRng(SEED);
  for (let blow = 0; blow < KILLS; blow += 1) {
    await until('the next blow', elapsed(random.int(BLOW_EVERY_MS.min, BLOW_EVERY_MS.max)), (over) => over);
    const [victim] = fleet.workers;
    victim?.signal('SIGKILL');
    expect(await victim?.exit).toMatchObject({ signal: 'SIGKILL' });
    if (blow === 2) {
      const other = fleet.workers[1];
      other?.signal('SIGTERM');
      expect(await other?.exit).toMatchObject({ code: 0, signal: null });
      fleet.workers[1] = await fleet.startWorker();
    }
    fleet.workers[0] = await fleet.startWorker();
  }
}

function elapsed(ms: number): () => boolean {
  const from = performance.now();
  return () => performance.now() - from >= ms;
}

/** What patients and callers do meanwhile: records change, some revoke, some end. */
async function disturb({
  world,
  fleet,
  members,
}: {
  readonly world: World;
  readonly fleet: Fleet;
  readonly members: readonly Member[];
}): Promise<void> {
  const api = createHttpApi({ url: fleet.web.url, apiKey: API_KEY });
  for (const { id, kind, link } of members) {
    if (kind.startsWith('kept')) await world.change(link.patient, { add: 2, edit: 1, remove: 1 });
    if (kind === 'revoked') await world.revoke(link.authorizationId);
    if (kind === 'ended') {
      await until(
        `${id} is known`,
        () => fleet.views(),
        (views) => views.has(id),
      );
      await api.purge(id);
    }
  }
  await api.close();
}

function isSettled({ kind }: Member, view: AuthorizationView | undefined): boolean {
  if (view === undefined) return false;
  if (kind.startsWith('kept')) return view.state === 'active' && view.lastPull?.result === 'complete';
  if (kind === 'revoked') return view.state === 'needs_reauthorization';
  return view.state === 'purged';
}

/** Full pulls until nothing is suspected, since only they see removals; then what is stored is what the source has. */
async function expectKeptWhole({
  world,
  fleet,
  members,
}: {
  readonly world: World;
  readonly fleet: Fleet;
  readonly members: readonly Member[];
}): Promise<void> {
  const kept = members.filter(({ kind }) => kind.startsWith('kept'));
  await pullAll({ world, fleet, kept });
  for (const { id, link } of kept) {
    expect(await fleet.web.records(id), id).toEqual(await world.records(link.patient));
    expect(await fleet.web.api.status(id), id).toMatchObject({ state: 'active', usage: 'MULTIPLE' });
  }
  const repeating = await fleet.web.api.list({ limit: 500, state: 'active' });
  expect(repeating.authorizations.map(({ id }) => id).sort()).toEqual(kept.map(({ id }) => id).sort());
}

async function pullAll({
  world,
  fleet,
  kept,
}: {
  readonly world: World;
  readonly fleet: Fleet;
  readonly kept: readonly Member[];
}): Promise<void> {
  const from = Math.floor(world.clock.now());
  const behind = async (id: string): Promise<object | null> => {
    const view = await fleet.web.api.pull(id);
    const { types, pulling } = await fleet.web.api.types(id);
    const old = types.filter(
      ({ fullAt, suspected }) => fullAt === null || Date.parse(fullAt) < from || suspected !== null,
    );
    return old.length === 0
      ? null
      : { id, pulling, lastPull: view.lastPull, trouble: view.trouble, old: old.slice(0, 2) };
  };
  await until(
    'a full pull of all that is kept',
    () => Promise.all(kept.map(({ id }) => behind(id))),
    (all) => all.every((one) => one === null),
    { capMs: SETTLED_WITHIN_MS, everyMs: 250 },
  );
}

/** The source's books: alive where we say so, and no token spent that was spent before, but within grace. */
async function expectBooksAgree({
  world,
  members,
}: {
  readonly world: World;
  readonly members: readonly Member[];
}): Promise<void> {
  for (const { id, kind, link } of members) {
    const row = await world.row(link.authorizationId);
    expect(row.exchanges, id).toBe(1);
    if (kind.startsWith('kept')) {
      expect(row, id).toMatchObject({ alive: true, refusedRefreshTokens: 0, revocations: 0 });
      expect(row.refreshes, id).toBeGreaterThan(0);
    }
    if (kind === 'kept_lost_reply') expect(row.lostReplies, id).toBe(1);
    if (kind === 'ended') expect(row, id).toMatchObject({ alive: false, revocations: 1 });
  }
}

/** Handed over again at the end, what was purged meanwhile refuses. */
function ignorePurged(error: unknown): void {
  if (error instanceof Error && Reflect.get(error, 'code') === 'authorization_purged') return;
  throw error;
}
