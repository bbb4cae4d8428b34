import { describe, expect, test } from 'vitest';
import type { CadenceTable } from '../../src/core/cadence.ts';
import { nextSlot, phaseOf } from '../../src/core/cadence.ts';
import { UNITS } from '../../src/core/limits.ts';
import { choosePhase, phaseBucketOf, phaseCandidates } from '../../src/core/phase.ts';
import { createLoadCounter, type PlannedRow } from '../../src/core/plan-load.ts';

const { HOUR_MS } = UNITS;
const NOW = Date.UTC(2026, 6, 1, 12);
const AS_IT_IS: CadenceTable = { networks: {}, endpoints: {} };
const tefcaEvery = (hours: number): CadenceTable => ({
  networks: { TEFCA_IAS: { pullEveryMs: hours * HOUR_MS } },
  endpoints: {},
});

/** A fleet in full swing, placed as at acceptance; every third one stands in another network. */
function fleetOf(size: number): readonly PlannedRow[] {
  const loads = new Map<number, number>();
  return Array.from({ length: size }, (_, at) => {
    const id = `authorization-${at}`;
    const network = (['TEFCA_IAS', 'TEFCA_IAS', 'ONC_G10'] as const)[at % 3] ?? 'TEFCA_IAS';
    const phase = choosePhase({ candidates: phaseCandidates(id), loads });
    loads.set(phaseBucketOf(phase), (loads.get(phaseBucketOf(phase)) ?? 0) + 1);
    const periodMs = (network === 'TEFCA_IAS' ? 6 : 23) * HOUR_MS;
    const nextRunAt = nextSlot({ now: NOW, periodMs, phaseMs: phaseOf({ id, periodMs, phase }) });
    const freshAsOf = nextRunAt - periodMs;
    const tokens = {
      accessExpiresAt: freshAsOf + 24 * HOUR_MS,
      accessLifetimeMs: 24 * HOUR_MS,
      refreshExpiresAt: null,
    };
    const endpoint = { id: `payer-${at % 7}` };
    return { id, network, endpoint, cadence: {}, periodMs, phase, nextRunAt, nextPullAt: null, freshAsOf, ...tokens };
  });
}

function preview(rows: readonly PlannedRow[], after: CadenceTable) {
  const counter = createLoadCounter({ before: AS_IT_IS, after, now: NOW });
  for (const row of rows) counter.add(row);
  return counter.result();
}

const fleet = fleetOf(100_000);
const tefca = (after: CadenceTable) => preview(fleet, after).networks.find(({ network }) => network === 'TEFCA_IAS');

describe('a preview of the load', () => {
  test('of the same table changes nothing', () => {
    for (const one of preview(fleet.slice(0, 3_000), AS_IT_IS).networks) {
      expect(one).toMatchObject({ moved: 0, late: 0 });
      expect(one.after).toEqual(one.before);
    }
  });

  test('tells runs by network and by endpoint, the largest first', () => {
    const { networks, endpoints, quarterHours } = preview(fleet.slice(0, 3_000), tefcaEvery(12));
    expect(networks.map(({ network, authorizations, moved }) => [network, authorizations, moved])).toEqual([
      ['TEFCA_IAS', 2_000, 2_000],
      ['ONC_G10', 1_000, 0],
    ]);
    expect(networks[0]).toMatchObject({ before: { runsPerDay: 8_000 }, after: { runsPerDay: 4_000 } });
    expect(endpoints).toHaveLength(14);
    expect(endpoints[0]?.authorizations).toBeGreaterThanOrEqual(endpoints.at(-1)?.authorizations ?? 0);
    expect(quarterHours.before).toHaveLength(192);
    const sum = (values: readonly number[]) => values.reduce((all, one) => all + one, 0);
    expect(sum(quarterHours.before)).toBeGreaterThan(sum(quarterHours.after));
  });

  test.each([1, 4, 8, 16, 23])(
    'moves 66,667 authorizations to a period of %d h without a minute over 1.2 times the mean of the busier cadence, and nothing late',
    (hours) => {
      const change = tefca(tefcaEvery(hours));
      const mean = Math.max(change?.before.meanMinute ?? 0, change?.after.meanMinute ?? 0);
      expect((change?.after.peakMinute ?? 0) / mean).toBeLessThanOrEqual(1.2);
      expect(change).toMatchObject({ late: 0, moved: 66_667 });
      expect(change?.oldestAgeMs).toBeLessThanOrEqual(23 * HOUR_MS);
    },
  );

  test('says how many records a stricter promise makes late', () => {
    const stricter: CadenceTable = { networks: { ONC_G10: { lateAfterMs: 12 * HOUR_MS } }, endpoints: {} };
    const onc = preview(fleet.slice(0, 3_000), stricter).networks.find(({ network }) => network === 'ONC_G10');
    expect(onc?.late).toBeGreaterThan(0);
  });

  test('control: moved only when each runs next, a shorter period comes on top of the longer one', () => {
    const periodMs = 4 * HOUR_MS;
    const runs = new Uint32Array(48 * 60);
    for (const { id, network, phase, nextRunAt } of fleet) {
      if (network !== 'TEFCA_IAS' || nextRunAt === null) continue;
      const phaseMs = phaseOf({ id, periodMs, phase });
      for (let at = nextRunAt; at < NOW + 48 * HOUR_MS; at = nextSlot({ now: at, periodMs, phaseMs })) {
        const minute = Math.floor((at - NOW) / UNITS.MINUTE_MS);
        runs[minute] = (runs[minute] ?? 0) + 1;
      }
    }
    expect(Math.max(...runs) / (66_667 / (4 * 60))).toBeGreaterThan(1.4);
  });
});
