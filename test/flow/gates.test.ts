import { DelayedError, Queue, Worker } from 'bullmq';
import { afterEach, describe, expect, test } from 'vitest';
import { type GateStage, openGateStage } from '../support/gate-stage.ts';
import { OPEN_GATES } from '../support/open-gates.ts';
import { dropPrefix, randomPrefix } from '../support/real-redis.ts';
import { findServices, missingOf, productionPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';

const { postgres, redisUrl } = await findServices();
const missing = missingOf({ postgres, redisUrl });

/** More than may be in at one endpoint at once. */
const EACH = 12;
/** The soak has as many as the largest endpoint there is; to hand them over takes longer than to get past them. */
const { big: BIG, capMs: BIG_CAP_MS } =
  process.env['PERENNIAL_SOAK'] === '1' ? { big: 100_000, capMs: 1_200_000 } : { big: 150, capMs: 60_000 };
const WELL = ['well-0', 'well-1', 'well-2', 'well-3', 'well-4', 'well-5', 'well-6'];
const countsOf = (names: readonly string[], each = EACH) => Object.fromEntries(names.map((name) => [name, each]));
const mannerOf = (endpoint: string) =>
  (['failing', 'throttling', 'hanging'] as const).find((manner) => endpoint.startsWith(manner)) ?? 'well';

describe.skipIf(missing !== '')(`gates before many endpoints ${missing}`, () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  const stageOf = async (
    options: Omit<Parameters<typeof openGateStage>[0], 'place' | 'mannerOf'>,
  ): Promise<GateStage> => {
    if (postgres === null || redisUrl === null) throw new Error('no services');
    const place = await productionPlace({ postgres, redisUrl });
    const stage = await openGateStage({ place, mannerOf, ...options });
    closers.push(async () => {
      await stage.close();
      await place.close();
    });
    return stage;
  };

  test('endpoints that fail, throttle and hang keep no other waiting, are asked a few times and then left alone, and their runs wait in the store', async () => {
    const stage = await stageOf({ latencyMs: 100, concurrency: 16 });
    await stage.accept(countsOf([...WELL, 'failing', 'throttling', 'hanging'], EACH));
    await stage.start();
    await stage.sent({ endpoints: WELL, count: WELL.length * EACH });
    const { asked, most } = stage.endpoints;
    // Eight are in before the first answer is there, and five answers close it; a breaker that is open half a minute lets one more try.
    expect(asked.get('failing')).toBeLessThanOrEqual(12);
    expect(asked.get('throttling')).toBeLessThanOrEqual(8);
    expect(asked.get('hanging')).toBeLessThanOrEqual(8);
    expect(Math.max(...most.values())).toBeLessThanOrEqual(8);
    const waiting = await until(
      'all of the throttled ones are put back',
      async () => {
        const all = await Promise.all(
          Array.from({ length: EACH }, (_, nth) => stage.context.store.get(`throttling.${nth}`)),
        );
        return all.filter((one) => one?.lastError === 'gate_closed' || one?.lastError === 'upstream_throttled');
      },
      (found) => found.length === EACH,
    );
    expect(waiting.map((one) => one?.failedRuns)).toEqual(Array.from({ length: EACH }, () => 0));
    // Each comes back when its endpoint has said, and at its own instant.
    const plans = waiting.filter((one) => one?.lastError === 'gate_closed').map((one) => one?.nextRunAt ?? 0);
    expect(plans.length).toBeGreaterThanOrEqual(EACH - 8);
    expect(new Set(plans).size).toBe(plans.length);
  });

  test('control: without gates, what hangs fills the worker', async () => {
    const options = {
      latencyMs: 100,
      concurrency: 4,
      rig: (context: GateStage['context']) => ({ ...context, gates: OPEN_GATES }),
    };
    const stage = await stageOf(options);
    await stage.accept(countsOf(['hanging-0', 'hanging-1', 'hanging-2', 'hanging-3', 'well-0'], 20));
    await stage.start();
    await until(
      'what hangs has every place',
      () => hangingOf(stage),
      (count) => count >= 6,
      { capMs: 40_000, everyMs: 200 },
    );
    const sent = stage.endpoints.sent.length;
    await stage.ask(['well-0']);
    await expect(stage.sent({ endpoints: WELL, count: 20, capMs: 3_000 })).rejects.toThrow('not within');
    expect(stage.endpoints.sent.length).toBeLessThanOrEqual(sent + 4);
  });

  test.each([
    ['while its gate says so, and not a request is made for one', true],
    ['control: without a word of the gate, one is asked for', false],
  ])('records are pulled with the token in hand where no new one is to be had: %s', async (_name, isAway) => {
    const stage = await stageOf({ latencyMs: 10 });
    const { clock, gates, store } = stage.context;
    await stage.accept({ ending: 1 });
    const answer = { kind: 'throttled', waitMs: 3_600_000 } as const;
    const gate = { source: 'payers', endpointId: 'ending', part: 'tokens' } as const;
    if (isAway) await gates.note({ ...gate, answer, sentAt: clock.wallNow() });
    await stage.start();
    await stage.sent({ endpoints: ['ending'], count: 1 });
    expect(stage.endpoints.tokensAsked() > 0).toBe(!isAway);
    const pulled = await until(
      'the pull is written down',
      () => store.get('ending.0'),
      (one) => one?.lastPull?.result === 'complete',
    );
    expect(pulled?.trouble?.kind).toBe(isAway ? 'throttled' : 'outage');
  });

  test(`ten patients of a small endpoint are pulled while most of ${BIG} of a big one, who came first, still wait`, {
    timeout: BIG_CAP_MS,
  }, async () => {
    const stage = await stageOf({ latencyMs: 400, concurrency: 16 });
    await stage.accept({ big: BIG });
    await stage.accept({ small: 10 });
    await stage.start();
    const seconds = await stage.sent({ endpoints: ['small'], count: 10, capMs: BIG_CAP_MS });
    const big = stage.endpoints.sent.filter((patient) => patient.startsWith('big')).length;
    process.stdout.write(`\nten behind ${BIG}: pulled after ${seconds.toFixed(1)} s, and ${big} of the others\n`);
    // Without a gate nearly all of them.
    expect(big).toBeLessThan(BIG / 2);
    expect(stage.endpoints.most.get('big')).toBeLessThanOrEqual(8);
  });
});

function hangingOf({ endpoints }: GateStage): number {
  return [...endpoints.most].filter(([name]) => name.startsWith('hanging')).reduce((sum, [, most]) => sum + most, 0);
}

describe.skipIf(redisUrl === null)('one throttled payer at a bare queue', () => {
  const THROTTLED_MS = 2_000;

  /** How long the jobs of others take while one payer is throttled for {@link THROTTLED_MS}. */
  const othersMs = async (putAside: 'queue' | 'job'): Promise<number> => {
    const prefix = randomPrefix();
    const connection = { url: redisUrl ?? '' };
    const queue = new Queue<{ payer: string }>('bare', { connection, prefix });
    const done: string[] = [];
    let since = 0;
    const worker = new Worker<{ payer: string }>(
      'bare',
      async (job, token) => {
        if (job.data.payer !== 'throttled') return void done.push(job.data.payer);
        const leftMs = THROTTLED_MS - (performance.now() - since);
        if (leftMs <= 0) return undefined;
        if (putAside === 'queue') {
          await worker.rateLimit(Math.ceil(leftMs));
          throw Worker.RateLimitError();
        }
        await job.moveToDelayed(Date.now() + leftMs, token);
        throw new DelayedError();
      },
      { connection, prefix, autorun: false },
    );
    worker.on('error', () => {});
    try {
      await queue.addBulk(['throttled', 'a', 'b', 'c'].map((payer) => ({ name: 'run', data: { payer } })));
      since = performance.now();
      void worker.run();
      await until(
        'the others are done',
        () => done.length,
        (count) => count === 3,
        { everyMs: 10 },
      );
      return performance.now() - since;
    } finally {
      await worker.close(true);
      await queue.close();
      await dropPrefix(redisUrl ?? '', prefix);
    }
  };

  test('that is put back as one job keeps the jobs of others no time', async () => {
    expect(await othersMs('job')).toBeLessThan(0.8 * THROTTLED_MS);
  });

  test('control: `worker.rateLimit()` makes the jobs of all payers wait as long as the throttled one', async () => {
    expect(await othersMs('queue')).toBeGreaterThanOrEqual(0.9 * THROTTLED_MS);
  });
});
