import { describe, expect, onTestFinished, test } from 'vitest';
import { HOURS, type Tally } from '../../src/core/change-profile.ts';
import type { Instant } from '../../src/core/clock.ts';
import { phaseCandidates } from '../../src/core/phase.ts';
import { type System, startSystem } from '../support/system.ts';
import { findServices, missingOf, type Place, productionPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { HOUR_MS, type Link, requestOf, startWorld, type World } from '../support/world.ts';

/** A virtual hour takes 1.2 s: beside two other test files a worker may stand still for as long. */
const SPEED = 3_000;
const DAY_MS = 24 * HOUR_MS;
const PERIOD_MS = 6 * HOUR_MS;
/** An hour is the least between two pulls, and a day is promised; a busy machine comes a little early or late. */
const RANGE_MIN_MS = HOUR_MS;
const PROMISE_MS = DAY_MS;
const SLACK_MS = HOUR_MS / 10;
/** The hour of the batch, the half that makes a pull worth its while, the hour over which patients are spread; and a little. */
const SOON_MS = 4 * HOUR_MS;
/** The slots of all of them lie so long after a batch: who comes sooner does not come by its period. */
const SLOT_AFTER_MS = 5 * HOUR_MS;
const ENDPOINT = { id: 'nightly-payer', name: 'Nightly Payer' };
const ADAPTING = 3;

const services = await findServices();
const { postgres, redisUrl } = services;

type Stage = { readonly world: World; readonly place: Place; readonly system: System };
type Batch = { readonly at: Instant; readonly added: ReadonlyMap<string, readonly string[]> };
/** When the pulls of each began, and whatever was planned for it, as its row said over time. */
type Watched = ReadonlyMap<string, { readonly pulls: Set<Instant>; readonly plans: Set<Instant | null> }>;

if (postgres === null || redisUrl === null) {
  describe.skip(`an endpoint with a nightly batch ${missingOf(services)}`, () => {
    test('all of it', () => undefined);
  });
} else {
  describe('an endpoint with a nightly batch, of which workers have learned', () => {
    test('is pulled soon after each batch, within its range and in time, and less often than one beside it whose period was named', async () => {
      const world = await startWorld({ speed: SPEED });
      onTestFinished(world.close);
      const place = await productionPlace({ postgres, redisUrl });
      onTestFinished(place.close);
      const system = await startSystem({ place, world });
      onTestFinished(system.stop);
      const stage = { world, place, system };
      const first = Math.ceil((world.clock.now() + 2 * HOUR_MS) / HOUR_MS) * HOUR_MS;
      await learnBatches(stage, new Date(first).getUTCHours());
      const [named = '', ...adaptive] = idsWithSlotAfter(stage, first);
      const links = new Map<string, Link>();
      for (const id of [named, ...adaptive]) links.set(id, await acceptedAs(stage, id, id === named));
      const { batches, watched } = await play({ stage, links, at: [first, first + DAY_MS], awaited: adaptive });

      const pullsOf = (id: string) => [...(watched.get(id)?.pulls ?? [])].sort((left, right) => left - right);
      const plansOf = (id: string) => [...(watched.get(id)?.plans ?? [])].filter((plan) => plan !== null);
      const waitsOf = (instants: readonly Instant[]) =>
        batches.map(({ at }) => Math.min(...instants.filter((instant) => instant > at)) - at);
      for (const id of adaptive) {
        // By what was planned: at this speed a machine that stands still for a second is an hour late.
        const planned = waitsOf([...plansOf(id), ...pullsOf(id)]);
        for (const wait of planned) expect(wait, 'soon after the batch').toBeLessThanOrEqual(SOON_MS);
        const { added } = await system.changes(id);
        for (const batch of batches) expect(added).toEqual(expect.arrayContaining([...(batch.added.get(id) ?? [])]));
        const pulls = pullsOf(id);
        for (const gap of pulls.slice(1).map((pull, index) => pull - (pulls[index] ?? 0))) {
          expect(gap, 'no sooner than the range allows').toBeGreaterThanOrEqual(RANGE_MIN_MS - SLACK_MS);
          expect(gap, 'no later than was promised').toBeLessThanOrEqual(PROMISE_MS);
        }
        expect(pulls.length, 'fewer than by the period').toBeLessThan(pullsOf(named).length);
      }
      // They come by these plans, of about two hours, and not at their slots, three and a half at least: a machine that stands still is late at some of them, not at each.
      const come = adaptive.flatMap((id) => waitsOf(pullsOf(id)));
      expect(Math.min(...come), 'soon after the batch').toBeLessThanOrEqual(SOON_MS - HOUR_MS);
      // Control: whoever named a period comes at its slots, whatever was learned, and has no other plan.
      for (const wait of waitsOf(pullsOf(named))) expect(wait).toBeGreaterThan(SOON_MS);
      expect([...(watched.get(named)?.plans ?? [])]).toEqual([null]);
      // What these pulls have seen stands beside what was known.
      const known = (await system.context.store.changeProfiles()).find(({ endpointId }) => endpointId === ENDPOINT.id);
      expect(known?.profile.updatedAt).toBeGreaterThan(first);
    }, 120_000);
  });
}

/** Two weeks of twenty patients, nine in ten of whom change in that hour of each day. */
async function learnBatches({ system: { context }, world }: Stage, hour: number): Promise<void> {
  const tally: Tally = { changes: new Float64Array(HOURS), watchedHours: new Float64Array(HOURS).fill(14 * 20) };
  tally.changes[hour] = 14 * 20 * 0.9;
  const key = { network: 'TEFCA_IAS', source: 'sandbox', endpointId: ENDPOINT.id } as const;
  await context.store.learnChanges({ ...key, tally, at: world.clock.now() });
}

/** Ids of all of them, whose slots lie {@link SLOT_AFTER_MS} after each batch, or half an hour more or less. */
function idsWithSlotAfter({ system: { context } }: Stage, batch: Instant): readonly string[] {
  const found: string[] = [];
  for (let tries = 0; found.length <= ADAPTING; tries += 1) {
    const authorizationId = `patient-${tries}`;
    const [phase] = phaseCandidates(authorizationId);
    const slot = context.queue.nextRunAt({ authorizationId, periodMs: PERIOD_MS, phase });
    const after = (slot - batch + DAY_MS) % PERIOD_MS;
    if (Math.abs(after - SLOT_AFTER_MS) < HOUR_MS / 2) found.push(authorizationId);
  }
  return found;
}

async function acceptedAs({ world, system }: Stage, id: string, named: boolean): Promise<Link> {
  const link = await world.link({ exchanged: true });
  const cadence = named ? { cadence: { pullEverySeconds: PERIOD_MS / 1_000 } } : {};
  await system.accept(requestOf(link, { id, network: 'TEFCA_IAS', endpoint: ENDPOINT, ...cadence }));
  return link;
}

/** Lets the days go by: at each of these instants all patients change, and their rows are watched until all who are awaited have come after the last. */
async function play({
  stage: { world, system },
  links,
  at,
  awaited,
}: {
  readonly stage: Stage;
  readonly links: ReadonlyMap<string, Link>;
  readonly at: readonly Instant[];
  readonly awaited: readonly string[];
}): Promise<{ readonly batches: readonly Batch[]; readonly watched: Watched }> {
  const watched = new Map(
    [...links.keys()].map((id) => [id, { pulls: new Set<Instant>(), plans: new Set<Instant | null>() }]),
  );
  const look = async (): Promise<Instant> => {
    for (const { id, lastPull, nextPullAt } of await system.context.store.list({ after: null, limit: links.size })) {
      if (lastPull?.result !== 'complete') continue;
      watched.get(id)?.pulls.add(lastPull.at);
      watched.get(id)?.plans.add(nextPullAt);
    }
    return world.clock.now();
  };
  const watchUntil = (instant: Instant) => until('time passes', look, (now) => now >= instant, { everyMs: 20 });
  const batches: Batch[] = [];
  for (const instant of at) {
    await watchUntil(instant);
    const changed = await Promise.all(
      [...links].map(async ([id, { patient }]) => [id, (await world.change(patient, { add: 1 })).added] as const),
    );
    batches.push({ at: world.clock.now(), added: new Map(changed) });
  }
  const last = batches.at(-1)?.at ?? 0;
  await watchUntil(last + SOON_MS + HOUR_MS / 2);
  const hasCome = (id: string) => [...(watched.get(id)?.pulls ?? [])].some((pull) => pull > last);
  await until('pulls after the last batch', look, () => awaited.every(hasCome), { everyMs: 20 });
  return { batches, watched };
}
