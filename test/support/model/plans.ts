import fc from 'fast-check';
import { POLICIES } from './authorization-server.ts';
import { type Befall, type Hit, type Jolt, type Place, type Plan, POST_FAULTS } from './plan.ts';

const LEASES_3_MS = 24_000;
const HOUR_MS = 3_600_000;
const DAYS_90_MS = 90 * 24 * HOUR_MS;
const PLACES: readonly Place[] = [
  'takeLease',
  'tokens',
  'openIntent',
  'connect',
  'wire',
  'answer',
  'commitTokens',
  'clearSource',
  'noteSource',
  'parkIntent',
  'closeIntent',
  'fetchPage',
  'commitRecords',
  'update',
  'renewLease',
  'releaseLease',
  'orphanIntents',
  'get',
  'intent',
];

const freeze = fc.record({ kind: fc.constant('freeze' as const), forMs: fc.integer({ min: 500, max: LEASES_3_MS }) });
const befall: fc.Arbitrary<Befall> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ kind: 'crash' as const }) },
  { weight: 5, arbitrary: freeze },
  { weight: 2, arbitrary: fc.constant({ kind: 'cut' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'stop' as const }) },
);
const hit = (workers: number): fc.Arbitrary<Hit> =>
  fc.record({
    worker: fc.nat({ max: workers - 1 }),
    place: fc.constantFrom(...PLACES),
    nth: fc.integer({ min: 1, max: 3 }),
    when: fc.constantFrom('before' as const, 'after' as const),
    befall,
  });
const clock = fc.record({ kind: fc.constant('clock' as const), byMs: fc.constantFrom(HOUR_MS, -HOUR_MS) });
const jolt = (workers: number): fc.Arbitrary<Jolt> =>
  fc.record({
    worker: fc.nat({ max: workers - 1 }),
    atMs: fc.integer({ min: 0, max: 60_000 }),
    befall: fc.oneof(freeze, clock),
  });

/** Schedules of 2 to 8 workers in which anything may befall anybody. */
export const wildPlans: fc.Arbitrary<Plan> = fc.integer({ min: 2, max: 8 }).chain((workers) =>
  fc.record({
    seed: fc.nat(),
    policy: fc.constantFrom(...POLICIES),
    workers: fc.constant(workers),
    authorizations: fc.integer({ min: 1, max: 2 }),
    rounds: fc.integer({ min: 1, max: 3 }),
    refreshLifetimeMs: fc.constantFrom(null, DAYS_90_MS),
    callers: fc.constantFrom(0, 0, 0, 1),
    hits: fc.array(hit(workers), { maxLength: 4 }),
    jolts: fc.array(jolt(workers), { maxLength: 2 }),
    posts: fc.array(fc.constantFrom(...POST_FAULTS), { maxLength: 5 }),
    deadlineFirst: fc.boolean(),
    connectMaxMs: fc.constantFrom(200, 200, 2_000, 9_000),
  }),
);

/** Schedules in which nothing befalls anybody; calls only take their time. */
export const calmPlans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.nat(),
  policy: fc.constantFrom(...POLICIES),
  workers: fc.integer({ min: 2, max: 8 }),
  authorizations: fc.integer({ min: 1, max: 2 }),
  rounds: fc.integer({ min: 1, max: 3 }),
  refreshLifetimeMs: fc.constantFrom(null, DAYS_90_MS),
  callers: fc.constantFrom(0, 0, 1),
  hits: fc.constant([]),
  jolts: fc.constant([]),
  posts: fc.constant([]),
  deadlineFirst: fc.boolean(),
  connectMaxMs: fc.constantFrom(200, 2_000),
});

/** Schedules in which one thing goes wrong once, and one worker at least is well. */
export const mildPlans: fc.Arbitrary<Plan> = fc
  .record({
    plan: calmPlans,
    hit: hit(8),
    loss: fc.constantFrom(...POST_FAULTS),
    at: fc.nat({ max: 3 }),
    isHit: fc.boolean(),
  })
  .map(({ plan, hit: one, loss, at, isHit }) => ({
    ...plan,
    connectMaxMs: 200,
    hits: isHit ? [{ ...one, worker: 1 + (one.worker % (plan.workers - 1)) }] : [],
    posts: isHit ? [] : [...Array.from({ length: at }, () => 'none' as const), loss],
  }));
