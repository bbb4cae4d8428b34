import { type Rng, seededRng } from '../../../src/sandbox/random.ts';

/** What befalls one worker process, or its way to the servers. */
export const WORKER_FAULTS = [
  'kill',
  'deploy',
  'freeze',
  'silent_redis',
  'silent_postgres',
  'clock_ahead',
  'clock_behind',
] as const;
/** What befalls the servers that all share. */
export const SERVER_FAULTS = [
  'redis_crash',
  'redis_flush',
  'redis_old_copy',
  'postgres_fast',
  'postgres_immediate',
] as const;
export type FaultKind = (typeof WORKER_FAULTS | typeof SERVER_FAULTS)[number];

export type Fault = {
  readonly kind: FaultKind;
  /** After the beginning. */
  readonly atMs: number;
  /** How long it lasts: a server is away, a process stands still, a clock is wrong. */
  readonly forMs: number;
  /** Of a worker's fault, which one. */
  readonly worker: number;
  /** By how much a clock is wrong, on the virtual clock. */
  readonly stepMs: number;
};

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Longer than a lease (7 s); at times longer than BullMQ waits for a job's renewal (30 s) as well. */
const FROZEN_MS = { min: 8_500, max: 14_000, long: 38_000 } as const;
const LONG_FREEZE_OF = 4;
/** A worker on a wrong clock makes plans for so long. */
const WRONG_CLOCK_MS = { min: 12_000, max: 25_000 } as const;
const STEP_MS = { min: 10 * MINUTE_MS, max: 6 * HOUR_MS } as const;
/** Until what was killed is started again. */
const DOWN_MS = { min: 200, max: 4_000 } as const;
/** From the end of one fault to the next of its kind of victim. */
const APART_MS = { min: 6_000, max: 20_000 } as const;

/**
 * Faults from a seed, until `forMs`: workers' and servers' side by side, so that they meet, and those of one of both one after the other. Each kind comes once
 * before any comes twice.
 */
export function scheduleOf({
  seed,
  forMs,
  workers,
  kinds = { worker: WORKER_FAULTS, server: SERVER_FAULTS },
}: {
  readonly seed: string;
  readonly forMs: number;
  readonly workers: number;
  readonly kinds?: { readonly worker: readonly FaultKind[]; readonly server: readonly FaultKind[] };
}): readonly Fault[] {
  const lanes = [kinds.worker, kinds.server].map((lane, index) => {
    return laneOf({ random: seededRng(`${seed}/lane/${index}`), kinds: lane, forMs, workers });
  });
  return lanes.flat().sort((left, right) => left.atMs - right.atMs);
}

function laneOf({
  random,
  kinds,
  forMs,
  workers,
}: {
  readonly random: Rng;
  readonly kinds: readonly FaultKind[];
  readonly forMs: number;
  readonly workers: number;
}): readonly Fault[] {
  const faults: Fault[] = [];
  let bag: readonly FaultKind[] = [];
  for (let atMs = random.int(APART_MS.min, APART_MS.max); kinds.length > 0; ) {
    if (bag.length === 0) bag = shuffled(kinds, random);
    const [kind, ...rest] = bag;
    if (kind === undefined) break;
    bag = rest;
    const lasting = durationOf(kind, random);
    if (atMs + lasting > forMs) break;
    const sign = kind === 'clock_behind' ? -1 : 1;
    const stepMs = sign * random.int(STEP_MS.min, STEP_MS.max);
    faults.push({ kind, atMs, forMs: lasting, worker: random.int(0, workers - 1), stepMs });
    atMs += lasting + random.int(APART_MS.min, APART_MS.max);
  }
  return faults;
}

function durationOf(kind: FaultKind, random: Rng): number {
  if (kind === 'freeze') {
    return random.int(1, LONG_FREEZE_OF) === 1 ? FROZEN_MS.long : random.int(FROZEN_MS.min, FROZEN_MS.max);
  }
  if (kind === 'clock_ahead' || kind === 'clock_behind') return random.int(WRONG_CLOCK_MS.min, WRONG_CLOCK_MS.max);
  if (kind === 'redis_flush' || kind === 'deploy' || kind.startsWith('silent')) return 0;
  return random.int(DOWN_MS.min, DOWN_MS.max);
}

function shuffled<T>(items: readonly T[], random: Rng): readonly T[] {
  const keyed = items.map((item) => [random.next(), item] as const);
  return keyed.toSorted(([left], [right]) => left - right).map(([, item]) => item);
}
