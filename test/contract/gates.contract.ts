import { describe, expect, test } from 'vitest';
import { createGates } from '../../src/adapters/gates/gates.ts';
import type { GateRedis } from '../../src/adapters/gates/redis-states.ts';
import type { EndpointLimits } from '../../src/core/gate.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { Entry, Gates } from '../../src/core/ports/gates.ts';
import type { Log } from '../../src/core/ports/telemetry.ts';
import { SILENT_LOG } from '../support/model/worker.ts';

const HOUR_MS = 3_600_000;
const PER_SECOND = 10;
/** Under a real clock's window, and far above what the tests of other things spend. */
export const LIMITS_BY_SOURCE: Readonly<Record<string, EndpointLimits>> = {
  plain: { concurrency: 4, requestsPerMinute: null, sourceRequestsPerMinute: null },
  rated: { concurrency: 100, requestsPerMinute: PER_SECOND * 60, sourceRequestsPerMinute: null },
  shared: { concurrency: 100, requestsPerMinute: null, sourceRequestsPerMinute: PER_SECOND * 60 },
};

/** A wall clock that stands until it is told to go. */
export type HandClock = { readonly wallNow: () => number; readonly pass: (ms: number) => void };

export function handClock(): HandClock {
  let now = 1_700_000_000_000;
  return {
    wallNow: () => now,
    pass: (ms) => {
      now += ms;
    },
  };
}

let made = 0;

/** The gates of one process. */
export function gatesAt({
  redis,
  prefix,
  clock,
  probesMax = 100,
  log = SILENT_LOG,
}: {
  readonly redis: GateRedis | null;
  readonly prefix: string;
  readonly clock: HandClock;
  readonly probesMax?: number;
  readonly log?: Log;
}): Gates {
  const id = (): string => {
    made += 1;
    return `holder-${made}`;
  };
  const limitsOf = (source: string): EndpointLimits => {
    const limits = LIMITS_BY_SOURCE[source];
    if (limits === undefined) throw new Error('no such source');
    return limits;
  };
  return createGates({
    redis,
    prefix,
    limitsOf,
    probesMax,
    clock: { wallNow: clock.wallNow, toWallMs: (ms) => ms },
    entropy: { id },
    log,
  });
}

/** Two processes of one fleet; where gates live in one process, they are one. */
export type Fleet = { readonly clock: HandClock; readonly both: readonly [Gates, Gates] };

let endpoints = 0;
const newEndpoint = (): string => {
  endpoints += 1;
  return `endpoint-${endpoints}`;
};

const PAGES = { needs: 'pages', isFirst: false } as const;

/** Takes the whole of its places, from one process and from the other in turn. */
export async function enterMany({
  both,
  source = 'plain',
  endpointId,
  count,
}: {
  readonly both: readonly [Gates, Gates];
  readonly source?: string;
  readonly endpointId: string;
  readonly count: number;
}): Promise<readonly Entry[]> {
  const turns = Array.from({ length: count }, (_, index) => both[index % 2 === 0 ? 0 : 1]);
  return Promise.all(turns.map((gates) => gates.enter({ source, endpointId, ...PAGES })));
}

export const open = (entries: readonly Entry[]) => entries.filter((entry) => entry.kind === 'open');
export const closed = (entries: readonly Entry[]) => entries.filter((entry) => entry.kind === 'closed');

/** What any place of the gates has to hold. */
export function gatesContract(name: string, fleet: () => Fleet): void {
  describe(name, () => {
    letsInSoMany(fleet);
    linesUp(fleet);
    heedsRetryAfter(fleet);
    breaks(fleet);
    counts(fleet);
  });
}

function letsInSoMany(fleet: () => Fleet): void {
  test('many endpoints at the same moment let in their own each, whatever goes together', async () => {
    const { both } = fleet();
    const names = Array.from({ length: 150 }, newEndpoint);
    const entries = await Promise.all(names.map((endpointId) => enterMany({ both, endpointId, count: 6 })));
    expect(new Set(entries.map((one) => open(one).length))).toEqual(new Set([4]));
    const inside = open(entries.flat());
    await Promise.all(inside.map((entry) => entry.leave()));
    const again = await Promise.all(names.map((endpointId) => enterMany({ both, endpointId, count: 1 })));
    expect(open(again.flat())).toHaveLength(150);
  });

  test('as many runs as an endpoint may have are in at once over all processes, and each that leaves makes room for one', async () => {
    const { both } = fleet();
    const endpointId = newEndpoint();
    const entries = await enterMany({ both, endpointId, count: 12 });
    expect(open(entries)).toHaveLength(4);
    expect(new Set(closed(entries).map(({ reason }) => reason))).toEqual(new Set(['concurrency']));
    await open(entries)[0]?.leave();
    expect(open(await enterMany({ both, endpointId, count: 3 }))).toHaveLength(1);
  });

  test('a full endpoint closes no other', async () => {
    const { both } = fleet();
    await enterMany({ both, endpointId: newEndpoint(), count: 12 });
    expect(open(await enterMany({ both, endpointId: newEndpoint(), count: 4 }))).toHaveLength(4);
  });

  test('the places of a process that dies are free again by their time', async () => {
    const { both, clock } = fleet();
    const endpointId = newEndpoint();
    await enterMany({ both, endpointId, count: 4 });
    clock.pass(LIMITS.gateHolderMs - 1);
    expect(open(await enterMany({ both, endpointId, count: 1 }))).toHaveLength(0);
    clock.pass(1);
    expect(open(await enterMany({ both, endpointId, count: 8 }))).toHaveLength(4);
  });
}

function linesUp(fleet: () => Fleet): void {
  test('each run that is turned away has its own place in the line, at the pace at which the endpoint takes them; one that was asked for has the first', async () => {
    const { both, clock } = fleet();
    const endpointId = newEndpoint();
    const inside = open(await enterMany({ both, endpointId, count: 4 }));
    clock.pass(2_000);
    await inside[0]?.leave();
    await enterMany({ both, endpointId, count: 1 });
    const waits = closed(await enterMany({ both, endpointId, count: 50 })).map(({ retryAfterMs }) => retryAfterMs);
    const inOrder = [...waits].sort((left, right) => left - right);
    const steps = inOrder.slice(1).map((wait, index) => wait - (inOrder[index] ?? 0));
    // A run takes a second or two here, and four are in at once.
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(249);
    expect(Math.max(...steps)).toBeLessThanOrEqual(501);
    const asked = await both[1].enter({ source: 'plain', endpointId, needs: 'pages', isFirst: true });
    expect(asked).toEqual({ kind: 'closed', reason: 'concurrency', retryAfterMs: LIMITS.gateRetryMinMs });
  });
}

function heedsRetryAfter(fleet: () => Fleet): void {
  test('a time that the endpoint names holds for all processes, and ends', async () => {
    const { both, clock } = fleet();
    const endpointId = newEndpoint();
    const answer = { kind: 'throttled', waitMs: 90_000 } as const;
    await both[0].note({ source: 'plain', endpointId, part: 'pages', answer, sentAt: clock.wallNow() });
    const [first, second] = closed(await enterMany({ both, endpointId, count: 2 }));
    expect(first).toMatchObject({ reason: 'throttled' });
    expect(Math.min(first?.retryAfterMs ?? 0, second?.retryAfterMs ?? 0)).toBeGreaterThanOrEqual(90_000);
    expect(both[1].states().throttled).toBeGreaterThan(0);
    clock.pass(90_000);
    expect(open(await enterMany({ both, endpointId, count: 1 }))).toHaveLength(1);
  });

  test('a time without measure is capped', async () => {
    const { both, clock } = fleet();
    const endpointId = newEndpoint();
    const answer = { kind: 'throttled', waitMs: 1_000 * HOUR_MS } as const;
    await both[0].note({ source: 'plain', endpointId, part: 'pages', answer, sentAt: clock.wallNow() });
    const [entry] = closed(await enterMany({ both, endpointId, count: 1 }));
    expect(entry?.retryAfterMs).toBeLessThanOrEqual(LIMITS.retryAfterMaxMs);
    clock.pass(LIMITS.retryAfterMaxMs);
    expect(open(await enterMany({ both, endpointId, count: 1 }))).toHaveLength(1);
  });

  test('a throttled token endpoint keeps no pages waiting, and says until when to ask for no token', async () => {
    const { both, clock } = fleet();
    const endpointId = newEndpoint();
    const answer = { kind: 'throttled', waitMs: 90_000 } as const;
    await both[0].note({ source: 'plain', endpointId, part: 'tokens', answer, sentAt: clock.wallNow() });
    const pages = await both[1].enter({ source: 'plain', endpointId, ...PAGES });
    expect(pages).toMatchObject({ kind: 'open', tokensAway: { reason: 'throttled', forMs: 90_000 } });
    const tokens = await both[1].enter({ source: 'plain', endpointId, needs: 'tokens', isFirst: false });
    expect(tokens).toMatchObject({ kind: 'closed', reason: 'throttled' });
  });
}

async function fail({ both, clock }: Fleet, endpointId: string, times: number): Promise<void> {
  const note = { source: 'plain', endpointId, part: 'pages', answer: { kind: 'failed' } } as const;
  for (let nth = 0; nth < times; nth += 1) await both[nth % 2 === 0 ? 0 : 1].note({ ...note, sentAt: clock.wallNow() });
}

function breaks(fleet: () => Fleet): void {
  test('failures in a row open the breaker for all processes, then one probe is let in, and each in vain doubles the wait up to its cap', async () => {
    const { both, clock } = fleet();
    const endpointId = newEndpoint();
    await fail(fleet(), endpointId, LIMITS.breakerAfterFailures);
    for (let waitMs: number = LIMITS.breakerFirstMs, round = 0; round < 8; round += 1) {
      const early = closed(await enterMany({ both, endpointId, count: 3 }));
      expect(early.map(({ reason }) => reason)).toEqual(['breaker', 'breaker', 'breaker']);
      clock.pass(waitMs - 1);
      expect(open(await enterMany({ both, endpointId, count: 2 }))).toHaveLength(0);
      clock.pass(1);
      const probes = open(await enterMany({ both, endpointId, count: 6 }));
      expect(probes).toHaveLength(1);
      await fail(fleet(), endpointId, 1);
      await probes[0]?.leave();
      waitMs = Math.min(2 * waitMs, LIMITS.breakerMaxMs);
    }
  });

  test('the answer of a probe lets everybody in again', async () => {
    const { both, clock } = fleet();
    const endpointId = newEndpoint();
    await fail(fleet(), endpointId, LIMITS.breakerAfterFailures);
    clock.pass(LIMITS.breakerFirstMs);
    expect(open(await enterMany({ both, endpointId, count: 2 }))).toHaveLength(1);
    const sentAt = clock.wallNow();
    await both[1].note({ source: 'plain', endpointId, part: 'pages', answer: { kind: 'answered' }, sentAt });
    expect(open(await enterMany({ both, endpointId, count: 2 }))).toHaveLength(2);
  });

  test('a probe that dies, or that asks nothing, leaves its question to the next', async () => {
    const { both, clock } = fleet();
    const endpointId = newEndpoint();
    await fail(fleet(), endpointId, LIMITS.breakerAfterFailures);
    clock.pass(LIMITS.breakerFirstMs);
    const [idle] = open(await enterMany({ both, endpointId, count: 1 }));
    await idle?.leave();
    expect(open(await enterMany({ both, endpointId, count: 1 }))).toHaveLength(1);
    clock.pass(LIMITS.gateHolderMs);
    expect(open(await enterMany({ both, endpointId, count: 2 }))).toHaveLength(1);
  });

  test('refusals of single patients are answers: they open nothing, and end a row of failures', async () => {
    const { both, clock } = fleet();
    const endpointId = newEndpoint();
    for (let round = 0; round < 3; round += 1) {
      await fail(fleet(), endpointId, LIMITS.breakerAfterFailures - 1);
      const sentAt = clock.wallNow();
      await both[0].note({ source: 'plain', endpointId, part: 'pages', answer: { kind: 'answered' }, sentAt });
      // The other process hears of it with its next change.
      await open(await enterMany({ both: [both[1], both[1]], endpointId, count: 1 }))[0]?.leave();
    }
    expect(open(await enterMany({ both, endpointId, count: 4 }))).toHaveLength(4);
  });

  test('answers to requests of before the breaker opened neither close it nor open it longer', async () => {
    const { both, clock } = fleet();
    const endpointId = newEndpoint();
    const sentAt = clock.wallNow() - 1;
    await fail(fleet(), endpointId, LIMITS.breakerAfterFailures);
    const late = { source: 'plain', endpointId, part: 'pages', sentAt } as const;
    await both[0].note({ ...late, answer: { kind: 'answered' } });
    expect(open(await enterMany({ both, endpointId, count: 1 }))).toHaveLength(0);
    clock.pass(LIMITS.breakerFirstMs);
    await both[0].note({ ...late, answer: { kind: 'failed' } });
    expect(open(await enterMany({ both, endpointId, count: 1 }))).toHaveLength(1);
  });
}

function counts(fleet: () => Fleet): void {
  test('requests over the rate of an endpoint wait, whoever spends them, and so do runs that would begin', async () => {
    const { both } = fleet();
    const gate = { source: 'rated', endpointId: newEndpoint() };
    const waits: number[] = [];
    for (let nth = 0; nth < 2 * PER_SECOND; nth += 1) waits.push(await both[nth % 2 === 0 ? 0 : 1].spend(gate));
    const free = waits.filter((wait) => wait === 0).length;
    // The window may have ended meanwhile on a slow machine.
    expect(free).toBeGreaterThanOrEqual(PER_SECOND);
    expect(free).toBeLessThan(2 * PER_SECOND);
    const refused = waits.find((wait) => wait > 0);
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThanOrEqual(1_000);
    expect(await both[1].enter({ ...gate, ...PAGES })).toMatchObject({ kind: 'closed', reason: 'rate' });
  });

  test('the rate of a source counts all its endpoints together', async () => {
    const { both } = fleet();
    const waits: number[] = [];
    for (let nth = 0; nth < PER_SECOND + 5; nth += 1) {
      waits.push(await both[nth % 2 === 0 ? 0 : 1].spend({ source: 'shared', endpointId: newEndpoint() }));
    }
    expect(waits.slice(PER_SECOND).some((wait) => wait > 0)).toBe(true);
  });
}
