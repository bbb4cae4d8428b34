import { describe, expect, test } from 'vitest';
import { nextSlot, periodOf, phaseOf } from '../../src/core/cadence.ts';
import { UNITS } from '../../src/core/limits.ts';
import { NETWORK_POLICIES } from '../../src/core/networks.ts';
import { runSimulate } from '../../src/main/simulate/command.ts';
import { planFaults } from '../../src/main/simulate/faults.ts';
import { type Fleet, planFleet } from '../../src/main/simulate/fleet.ts';
import { FAULTS, type Fault, PRODUCT, type Settings, START, type Variant } from '../../src/main/simulate/settings.ts';
import { simulate } from '../../src/main/simulate/simulate.ts';
import { summaryOf } from '../../src/main/simulate/summary.ts';

const { HOUR_MS, DAY_MS, MINUTE_MS } = UNITS;
const SOAK = process.env['PERENNIAL_SOAK'] === '1';

const settingsOf = (change: Partial<Settings> = {}): Settings => ({
  authorizations: SOAK ? 50_000 : 2_000,
  days: SOAK ? 30 : 12,
  seed: 7,
  endpoints: 24,
  networks: { TEFCA_IAS: 1, CMS_9115: 1, ONC_G10: 1 },
  cadence: { networks: {}, endpoints: {} },
  faults: FAULTS,
  adaptive: false,
  threads: 1,
  variant: PRODUCT,
  ...change,
});

async function play(change: Partial<Settings> = {}) {
  return summaryOf(await simulate({ settings: settingsOf(change), tell: () => undefined }));
}

const broken = (fault: Fault, variant: Partial<Variant>) =>
  play({ faults: [fault], days: 6, variant: { ...PRODUCT, ...variant } });
const unexplained = ({ networks }: Awaited<ReturnType<typeof play>>) =>
  networks.reduce((sum, { late }) => sum + late.unexplained, 0);

describe('a simulated fleet', () => {
  test('loses nothing to any fault, catches up, and shows the same by one thread and by two', async () => {
    const one = await play();
    expect(one.broken, 'nothing is late without a cause, and no token dies').toBe(0);
    expect(one.networks.every(({ pulls, tokensDied }) => pulls > 0 && tokensDied === 0)).toBe(true);
    expect(one.repaired).toBeGreaterThan(one.authorizations * 0.45);
    expect(Math.max(...one.catchUpMinutes)).toBeLessThan(6 * 60);
    expect(await play({ threads: 2 })).toEqual(one);
  });

  // Tokens of a throttled endpoint are renewed together and so end together: moved at the last moment for all, their runs came in one minute.
  test('brings no herd after a change of a period, also where endpoints were throttled', async () => {
    const faults: readonly Fault[] = ['period', 'throttling'];
    const { peaks } = await play({ authorizations: 20_000, days: 30, seed: 1, endpoints: 50, faults, threads: 2 });
    // Of 28 runs a minute on average some minute of a day has a fifth more by chance.
    expect(peaks.afterPeriodChange?.ratio).toBeLessThan(1.25);
  });

  test('is another one with another seed', async () => {
    const [one, other] = await Promise.all([play({ faults: [], days: 2 }), play({ faults: [], days: 2, seed: 8 })]);
    expect(other.peaks).not.toEqual(one.peaks);
  });
});

describe('controls', () => {
  test('without the reconciler and the sweep records are late after Redis is lost', async () => {
    expect(unexplained(await broken('redis', { repairs: true }))).toBe(0);
    expect(unexplained(await broken('redis', { repairs: false }))).toBeGreaterThan(1_000);
  });

  test('with the bare period and no phase all run in the same minute', async () => {
    const [phased, bare] = await Promise.all([
      play({ faults: [], days: 3 }),
      play({ faults: [], days: 3, variant: { ...PRODUCT, phases: false } }),
    ]);
    expect(bare.peaks.quietDay?.ratio).toBeGreaterThan(100);
    expect(phased.peaks.quietDay?.ratio).toBeLessThan(10);
  });

  test('without its spread a catch-up has all that two days left overdue run in a minute', async () => {
    const networks = { TEFCA_IAS: 0, CMS_9115: 1, ONC_G10: 0 };
    const peak = async (variant: Variant) => {
      const settings = settingsOf({ authorizations: 20_000, days: 10, networks, faults: ['downtime'], variant });
      const { figures } = await simulate({ settings, tell: () => undefined });
      return figures.makingUp.reduce((most, one) => Math.max(most, one), 0);
    };
    const spread = await peak(PRODUCT);
    expect(await peak({ ...PRODUCT, catchUpSpread: false })).toBeGreaterThan(3 * spread);
  });
});

/** Runs by minute of the 24 hours after an instant, first runs left out. */
function dayAfter({ fleet, from }: { readonly fleet: Fleet; readonly from: number }): Float64Array {
  const runs = new Float64Array(DAY_MS / MINUTE_MS);
  for (const [at, phase] of fleet.phases.entries()) {
    const endpoint = fleet.endpoints[fleet.endpointOf[at] ?? 0];
    if (endpoint === undefined) throw new Error('no endpoint');
    const cadence = NETWORK_POLICIES[endpoint.network];
    const periodMs = periodOf({ cadence, accessLifetimeMs: endpoint.accessLifetimeMs });
    const phaseMs = phaseOf({ id: '', periodMs, phase });
    for (let slot = nextSlot({ now: from, periodMs, phaseMs }); slot < from + DAY_MS; slot += periodMs) {
      const minute = Math.floor((slot - from) / MINUTE_MS);
      runs[minute] = (runs[minute] ?? 0) + 1;
    }
  }
  return runs;
}

describe('100,000 authorizations', () => {
  const settings = settingsOf({ authorizations: 100_000, days: 10, faults: ['import'] });

  test.each([
    { name: 'in full swing', variant: PRODUCT, from: START + 9 * DAY_MS, least: 1, most: 1.2 },
    {
      name: 'right after 50,000 of them came in one import',
      variant: PRODUCT,
      from: START + 3 * DAY_MS + 17 * HOUR_MS,
      least: 1,
      most: 1.2,
    },
    {
      name: 'control: by the bare period',
      variant: { ...PRODUCT, phases: false },
      from: START + 9 * DAY_MS,
      least: 100,
      most: Number.POSITIVE_INFINITY,
    },
  ])('run in no minute more than 1.2 times the mean: $name', ({ variant, from, least, most }) => {
    const chosen = { ...settings, variant };
    const runs = dayAfter({ fleet: planFleet(chosen, planFaults(chosen)), from });
    const ratio = Math.max(...runs) / (runs.reduce((sum, one) => sum + one, 0) / runs.length);
    expect(ratio).toBeGreaterThanOrEqual(least);
    expect(ratio).toBeLessThanOrEqual(most);
  });
});

describe('perennial simulate', () => {
  const run = async (line: string) => {
    let [out, err] = ['', ''];
    const write = (add: (text: string) => void) => ({ write: add });
    const args = line.split(' ');
    const code = await runSimulate({ args, out: write((text) => (out += text)), err: write((text) => (err += text)) });
    return { code, out, err };
  };

  test('prints a table and a verdict, and tells on the way how far it is', async () => {
    const { code, out, err } = await run('--authorizations 500 --days 2 --endpoints 5 --faults none --threads 1');
    expect(code).toBe(0);
    expect(out).toContain('500 authorizations at 5 endpoints, 2 days, seed 1');
    expect(out).toContain('Every promise kept');
    expect(err).toContain('simulating: 100 %');
  });

  test('finds an adaptive cadence at least 30 % fresher than a fixed one with as many pulls', async () => {
    const { code, out } = await run(
      `--authorizations ${SOAK ? 20_000 : 1_000} --days ${SOAK ? 60 : 24} --endpoints 30 --networks TEFCA_IAS=1 --faults none --threads 1 --compare adaptive --json`,
    );
    const { fixed, adaptive }: Readonly<Record<'fixed' | 'adaptive', Awaited<ReturnType<typeof play>>>> =
      JSON.parse(out);
    expect(code).toBe(0);
    expect(adaptive.networks[0]?.pulls).toBeLessThanOrEqual(fixed.networks[0]?.pulls ?? 0);
    expect(adaptive.networks[0]?.meanAgeSeconds).toBeLessThan(0.7 * (fixed.networks[0]?.meanAgeSeconds ?? 0));
    expect(adaptive.networks[0]?.freshnessSeconds.max).toBeLessThanOrEqual(24 * 3_600);
  });

  test.each([
    '--authorizations 0',
    '--networks ONC=1',
    '--faults flood',
    '--days',
    '--speed 3',
    '--cadence /nowhere.json',
  ])('refuses %s, says how it is called, and exits with 2', async (line) => {
    const { code, err } = await run(line);
    expect(code).toBe(2);
    expect(err).toContain('usage: perennial simulate');
  });
});
