import { describe, expect, test } from 'vitest';
import {
  adaptiveRangeOf,
  backoffMs,
  type CadenceTable,
  cadenceOf,
  leadMs,
  nextSlot,
  periodOf,
  phaseOf,
} from '../../src/core/cadence.ts';
import { LIMITS, UNITS } from '../../src/core/limits.ts';
import { NETWORK_POLICIES, NETWORKS, type NetworkName } from '../../src/core/networks.ts';

const { HOUR_MS, MINUTE_MS, DAY_MS } = UNITS;
const NO_OVERRIDES: CadenceTable = { networks: {}, endpoints: {} };
const on = (network: NetworkName, cadence = {}) => ({ network, endpoint: { id: 'payer-1' }, cadence });

describe('the table of the design', () => {
  test.each([
    ['TEFCA_IAS', 6, 24, 1, 23],
    ['CMS_9115', 23, 48, 23, 47],
    ['ONC_G10', 23, 24, 23, 23],
  ] as const)('%s: pull every %i h, late after %i h, adaptive %i h to %i h', (network, pull, late, least, most) => {
    expect(NETWORK_POLICIES[network]).toEqual({
      pullEveryMs: pull * HOUR_MS,
      lateAfterMs: late * HOUR_MS,
      adaptiveMinMs: least * HOUR_MS,
      adaptiveMaxMs: most * HOUR_MS,
      adaptive: network === 'TEFCA_IAS',
    });
    expect(cadenceOf(on(network), NO_OVERRIDES)).toEqual({ pullEveryMs: pull * HOUR_MS, lateAfterMs: late * HOUR_MS });
  });

  test('no network pulls so seldom that a run which starts an hour late would be late', () => {
    for (const network of NETWORKS) {
      const { pullEveryMs, lateAfterMs } = NETWORK_POLICIES[network];
      expect(pullEveryMs + HOUR_MS).toBeLessThanOrEqual(lateAfterMs);
    }
  });
});

describe('every number can be overridden', () => {
  const table = {
    networks: { ONC_G10: { pullEveryMs: 12 * HOUR_MS, lateAfterMs: 20 * HOUR_MS } },
    endpoints: { 'payer-1': { pullEveryMs: 8 * HOUR_MS } },
  };

  test('per network, then per endpoint, then per authorization, each number by itself', () => {
    const elsewhere = { ...on('ONC_G10'), endpoint: { id: 'payer-2' } };
    expect(cadenceOf(elsewhere, table)).toEqual({ pullEveryMs: 12 * HOUR_MS, lateAfterMs: 20 * HOUR_MS });
    expect(cadenceOf(on('ONC_G10'), table)).toEqual({ pullEveryMs: 8 * HOUR_MS, lateAfterMs: 20 * HOUR_MS });
    expect(cadenceOf(on('ONC_G10', { pullEveryMs: 2 * HOUR_MS }), table)).toEqual({
      pullEveryMs: 2 * HOUR_MS,
      lateAfterMs: 20 * HOUR_MS,
    });
    expect(cadenceOf(on('ONC_G10', { lateAfterMs: HOUR_MS }), table)).toEqual({
      pullEveryMs: 8 * HOUR_MS,
      lateAfterMs: HOUR_MS,
    });
  });

  test('an override of one network leaves the others alone', () => {
    const elsewhere = { ...on('CMS_9115'), endpoint: { id: 'payer-2' } };
    expect(cadenceOf(elsewhere, table).pullEveryMs).toBe(23 * HOUR_MS);
  });

  test.each(['constructor', '__proto__', 'toString'])('an endpoint called %s is one without an override', (id) => {
    expect(cadenceOf({ ...on('TEFCA_IAS'), endpoint: { id } }, NO_OVERRIDES).pullEveryMs).toBe(6 * HOUR_MS);
  });
});

describe('an adaptive cadence', () => {
  const HOURS = (min: number, max: number) => ({ minMs: min * HOUR_MS, maxMs: max * HOUR_MS });

  test.each([
    ['TEFCA by itself', 'TEFCA_IAS', {}, {}, HOURS(1, 23)],
    ['CMS not by itself', 'CMS_9115', {}, {}, null],
    ['CMS where the operator says so', 'CMS_9115', { CMS_9115: { adaptive: true } }, {}, HOURS(23, 47)],
    ['not ONC, whoever says so: its range is one number', 'ONC_G10', { ONC_G10: { adaptive: true } }, {}, null],
    ['not where the operator says so', 'TEFCA_IAS', { TEFCA_IAS: { adaptive: false } }, {}, null],
    ['not where the operator names a period', 'TEFCA_IAS', { TEFCA_IAS: { pullEveryMs: 8 * HOUR_MS } }, {}, null],
    ['not where the caller names a period', 'TEFCA_IAS', {}, { pullEveryMs: 8 * HOUR_MS }, null],
    [
      'with a budget of the operator',
      'TEFCA_IAS',
      { TEFCA_IAS: { pullEveryMs: HOUR_MS / 2, adaptive: true } },
      {},
      HOURS(0.5, 23),
    ],
  ] as const)('is %s', (_which, network, networks, cadence, range) => {
    expect(adaptiveRangeOf(on(network, cadence), { networks, endpoints: {} })).toEqual(range);
  });

  test('is switched per endpoint too, above its network', () => {
    const table = { networks: { TEFCA_IAS: { adaptive: false } }, endpoints: { 'payer-1': { adaptive: true } } };
    expect(adaptiveRangeOf(on('TEFCA_IAS'), table)).toEqual(HOURS(1, 23));
    expect(adaptiveRangeOf({ ...on('TEFCA_IAS'), endpoint: { id: 'payer-2' } }, table)).toBeNull();
  });
});

describe('the period of the repeating job', () => {
  const period = (pullHours: number, lifetimeMs: number) =>
    periodOf({ cadence: { pullEveryMs: pullHours * HOUR_MS, lateAfterMs: 0 }, accessLifetimeMs: lifetimeMs });

  test.each([
    ['24 h tokens of a network that pulls every 23 h', 23, DAY_MS, 23 * HOUR_MS],
    ['24 h tokens of a network that pulls every 47 h', 47, DAY_MS, 23 * HOUR_MS],
    ['24 h tokens of a network that pulls every 6 h', 6, DAY_MS, 6 * HOUR_MS],
    ['1 h tokens', 23, HOUR_MS, 57 * MINUTE_MS],
    ['5 min tokens', 23, 5 * MINUTE_MS, 4 * MINUTE_MS],
    ['90 s tokens', 23, 90_000, MINUTE_MS],
    ['tokens of no lifetime at all', 23, 0, LIMITS.periodMinMs],
    ['tokens of ten years of an authorization that pulls never', 24 * 365, 3_650 * DAY_MS, LIMITS.runEveryMaxMs],
  ])('%s', (_, pullHours, lifetimeMs, wanted) => {
    expect(period(pullHours, lifetimeMs)).toBe(wanted);
  });

  test('a fraction of a second in expires_in changes no period', () => {
    // A pull period above the tokens' own, so that these decide.
    for (const seconds of [86_398.1, 86_399, 86_399.4, 86_400, 86_400.7])
      expect(period(47, seconds * 1_000)).toBe(23 * HOUR_MS);
    for (const seconds of [3_598.5, 3_599, 3_600, 3_601.999]) expect(period(23, seconds * 1_000)).toBe(57 * MINUTE_MS);
  });

  test('the lead is a 24th of the lifetime, 30 s at least, an hour at most, and never more than half of it', () => {
    expect([DAY_MS, 7 * DAY_MS, HOUR_MS, 5 * MINUTE_MS, 40_000, 0].map(leadMs)).toEqual([
      HOUR_MS,
      HOUR_MS,
      HOUR_MS / 24,
      30_000,
      20_000,
      0,
    ]);
  });
});

describe('the phase of an authorization', () => {
  const ids = Array.from({ length: 100_000 }, (_, index) => `auth-${index}`);

  function spreadOf(phase: (id: string) => number, buckets: number): { readonly peak: number; readonly chi: number } {
    const counts = new Array<number>(buckets).fill(0);
    for (const id of ids) {
      const bucket = Math.floor(phase(id));
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
    const mean = ids.length / buckets;
    const chi = counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
    return { peak: Math.max(...counts) / mean, chi };
  }

  test('is stable: the same id has the same place for ever', () => {
    // Written down, since a change would re-phase a whole fleet with a deploy.
    const places = ['auth-1', 'auth-2', 'a', 'F1.x_y-z'].map((id) => phaseOf({ id, periodMs: DAY_MS }));
    expect(places).toEqual([38_228_689, 40_933_181, 8_944_665, 4_825_656]);
  });

  test('spreads 100,000 ids over 1,440 minutes like chance does', () => {
    const { peak, chi } = spreadOf((id) => phaseOf({ id, periodMs: DAY_MS }) / MINUTE_MS, 1_440);
    // 1,439 degrees of freedom: 99.9 % of fair spreads lie under 1,608 and over 1,277; a mean of 69 has its peak near 1.45.
    expect(chi).toBeGreaterThan(1_277);
    expect(chi).toBeLessThan(1_608);
    expect(peak).toBeLessThan(1.6);
  });

  test('spreads them over 24 hours with a peak of at most 1.05 times the mean', () => {
    expect(spreadOf((id) => phaseOf({ id, periodMs: DAY_MS }) / HOUR_MS, 24).peak).toBeLessThanOrEqual(1.05);
  });

  test('control: a hash that is a sum of characters does not pass', () => {
    const sum = (id: string) => [...id].reduce((total, letter) => total + letter.charCodeAt(0), 0) % 1_440;
    expect(spreadOf(sum, 1_440).chi).toBeGreaterThan(1_608);
  });

  test('always lies within the period, whole', () => {
    for (const periodMs of [1, 2, 60_000, DAY_MS, LIMITS.periodMaxMs]) {
      for (const id of ids.slice(0, 2_000)) {
        const phase = phaseOf({ id, periodMs });
        expect(Number.isInteger(phase) && phase >= 0 && phase < periodMs).toBe(true);
      }
    }
  });
});

describe('the next slot', () => {
  test.each([
    [0, 0, 100],
    [99, 0, 100],
    [100, 0, 200],
    [100, 30, 130],
    [129, 30, 130],
    [130, 30, 230],
    [131, 30, 230],
  ])('after %i with phase %i of 100 is %i', (now, phaseMs, wanted) => {
    expect(nextSlot({ now, periodMs: 100, phaseMs })).toBe(wanted);
  });
});

describe('the wait after failures', () => {
  test('doubles from 30 s to an hour, and is spread by 0.5 to 1.5', () => {
    const middle = [0, 1, 2, 3, 6, 7, 50, 1_000].map((failures) => backoffMs({ failures, random: 0.5 }));
    expect(middle).toEqual([30, 60, 120, 240, 1_920, 3_600, 3_600, 3_600].map((seconds) => seconds * 1_000));
    expect(backoffMs({ failures: 0, random: 0 })).toBe(15_000);
    expect(backoffMs({ failures: 0, random: 0.999_999 })).toBe(45_000);
    expect(backoffMs({ failures: 50, random: 0.999_999 })).toBeLessThanOrEqual(1.5 * LIMITS.retryMaxMs);
  });
});
