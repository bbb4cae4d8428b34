import { cp } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/databases.ts';
import { canStartRedis } from '../support/own-redis.ts';
import { openStage, type Stage } from '../support/reconcile-stage.ts';
import { findServices, missingOf } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';

const HOUR_MS = 3_600_000;
const PERIOD_MS = 23 * HOUR_MS;
const MANY = 2_000;
const services = await findServices();
const { postgres } = services;

if (postgres === null || !canStartRedis) {
  describe.skip(`a queue that differs from the store ${missingOf(services)}`, () => {
    test('is repaired', () => undefined);
  });
} else {
  describe('a queue that differs from the store', () => {
    let stage: Stage;
    beforeAll(async () => {
      stage = await openStage(postgres);
    }, 60_000);
    afterAll(() => stage.close(), 60_000);
    beforeEach(async () => {
      await stage.sql('delete from perennial.authorizations');
      await stage.redis.flushall();
    });
    const waits = () =>
      stage.composition.queue.queueOf('refresh-and-pull', 'x').getJobCounts('waiting', 'active', 'completed');

    test(`${MANY} schedules are back after FLUSHALL, each at its own slot, and nothing has run`, async () => {
      await stage.insert('flushed', MANY, PERIOD_MS);
      const worker = stage.takeJobs();
      const reconciling = stage.reconcile();
      await stage.heals();
      await until(
        'the pass to be told',
        () => stage.composition.context.store.reconciled(),
        ({ lastPass }) => lastPass?.authorizations === MANY,
      );
      await stage.redis.flushall();
      const startedAt = performance.now();
      await stage.heals();
      expect(performance.now() - startedAt).toBeLessThan(30_000);
      await reconciling.stop();
      await worker.stop();
      expect(worker.ran).toEqual([]);
      expect(reconciling.repairs.get('no_scheduler')).toBe(2 * MANY);
      expect(reconciling.lines).toHaveLength(2 * MANY);
      const told = await stage.composition.telemetry.text();
      expect(told).toMatch(/perennial_drift_total\{what="missing",reason="no_scheduler"\} \d{4}/);
      expect(told).toMatch(new RegExp(`perennial_reconcile_authorizations ${MANY}`));
    }, 120_000);

    test('control: without a reconciler a flushed queue stays empty', async () => {
      await stage.insert('empty', 50, PERIOD_MS);
      const worker = stage.takeJobs();
      await until('a while', elapsed(1_500), (over) => over);
      expect(await stage.wrongs()).toHaveLength(50);
      await worker.stop();
    });

    test('a lost run, a wrong phase, a doubled run, a scheduler of nobody and one too many: each is repaired, told by its reason, and runs nobody', async () => {
      await stage.insert('broken', 200, PERIOD_MS);
      const first = stage.reconcile();
      await stage.heals();
      await first.stop();
      await breakThings(stage);
      expect((await stage.wrongs()).length).toBeGreaterThanOrEqual(6);
      const worker = stage.takeJobs();
      const second = stage.reconcile();
      await stage.heals();
      await second.stop();
      await worker.stop();
      expect(worker.ran).toEqual([]);
      expect(Object.fromEntries(second.repairs)).toEqual({
        no_pending_job: 1,
        no_scheduler: 1,
        other_phase: 1,
        pending_at_wrong_time: 1,
        other_period: 1,
        not_standing: 2,
        pending_twice: 1,
      });
    }, 60_000);

    test('a Redis restored from an older copy: who came since is back, who ended since is gone, whose period changed has the new one', async () => {
      await stage.insert('old', 300, PERIOD_MS);
      const reconciling = stage.reconcile();
      await stage.heals();
      await stage.server().rewrite();
      await reconciling.stop();
      const copy = await temporaryFolder();
      await cp(stage.server().folder, copy.path, { recursive: true });
      await stage.insert('new', 100, PERIOD_MS);
      await stage.sql(
        `update perennial.authorizations set state = 'needs_reauthorization', next_run_at = null where id between 'old-0000001' and 'old-0000050'`,
      );
      await changePeriod(stage, `id between 'old-0000100' and 'old-0000149'`, 6 * HOUR_MS);
      const later = stage.reconcile();
      await stage.heals();
      await later.stop();
      const worker = stage.takeJobs();
      await stage.restoreRedis(copy.path);
      await until(
        'the older copy answers',
        () => stage.wrongs().catch(() => []),
        (wrong) => wrong.length >= 200,
      );
      const again = stage.reconcile();
      await stage.heals();
      await again.stop();
      await worker.stop();
      await copy.remove();
      expect(worker.ran).toEqual([]);
      expect(Object.fromEntries(again.repairs)).toEqual({ no_scheduler: 100, not_standing: 50, other_period: 50 });
    }, 120_000);

    test('a period that changes for a whole network runs nobody at once, and each has its new slot', async () => {
      await stage.insert('network', 300, PERIOD_MS);
      const first = stage.reconcile();
      await stage.heals();
      await first.stop();
      const worker = stage.takeJobs();
      await changePeriod(stage, 'true', 6 * HOUR_MS);
      const second = stage.reconcile();
      await stage.heals();
      await second.stop();
      expect(worker.ran).toEqual([]);
      // Control: the same change by a bare `every`, as BullMQ has it.
      const queue = stage.composition.queue.queueOf('refresh-and-pull', 'x');
      const ids = Array.from({ length: 50 }, (_, index) => `network-${String(index + 1).padStart(7, '0')}`);
      for (const id of ids) {
        const data = { authorizationId: id, reason: 'due' };
        await queue.upsertJobScheduler(id, { every: 12 * HOUR_MS }, { name: 'refresh-and-pull', data });
      }
      await until(
        'all 50 to run',
        () => worker.ran.length,
        (ran) => ran >= 50,
      );
      await worker.stop();
    }, 60_000);

    test('two deploys at once: one of them reconciles, each schedule is brought back once, and the other takes over when the first is gone', async () => {
      await stage.insert('twice', 300, PERIOD_MS);
      const other = await stage.composeAnother();
      const [one, two] = [stage.reconcile(), stage.reconcile(other)];
      await stage.heals();
      const counts = [one, two].map(({ repairs }) => repairs.get('no_scheduler') ?? 0);
      expect(counts.toSorted((left, right) => left - right)).toEqual([0, 300]);
      const [holder, next] = counts[0] === 300 ? [one, two] : [two, one];
      await holder.stop();
      await stage.redis.flushall();
      await stage.heals();
      expect(next.repairs.get('no_scheduler')).toBe(300);
      await next.stop();
      await other.close();
    }, 60_000);

    test('jobs that are due once are back too: an exchange, a fetch, and a purge at its deadline', async () => {
      await stage.insert('due', 3, PERIOD_MS);
      const dueAt = stage.composition.context.clock.now() + HOUR_MS;
      await stage.sql(
        `update perennial.authorizations set state = 'pending', period_ms = null, next_run_at = 0 where id = 'due-0000001'`,
      );
      await stage.sql(
        `update perennial.authorizations set usage = 'ONE_TIME', period_ms = null, next_run_at = 0, purge_due_at = $1 where id = 'due-0000002'`,
        [dueAt],
      );
      const reconciling = stage.reconcile();
      const jobsOf = async (id: string) => (await stage.composition.census.look([id])).get(id)?.jobs ?? [];
      await until(
        'all jobs',
        async () => [...(await jobsOf('due-0000001')), ...(await jobsOf('due-0000002'))],
        (jobs) => jobs.length === 3,
      );
      await reconciling.stop();
      expect(await jobsOf('due-0000001')).toMatchObject([{ queue: 'activate', wakesAt: null }]);
      const [fetch, purge] = await jobsOf('due-0000002');
      expect(fetch).toMatchObject({ queue: 'fetch-once', wakesAt: null });
      expect(purge).toMatchObject({ queue: 'purge', wakesAt: expect.closeTo(dueAt, -4) });
    }, 60_000);

    test('while Redis is away the reconciler waits, and goes on when it is back', async () => {
      await stage.insert('away', 100, PERIOD_MS);
      const reconciling = stage.reconcile();
      await stage.heals();
      const empty = await temporaryFolder();
      await stage.restoreRedis(empty.path);
      await stage.heals();
      await reconciling.stop();
      await empty.remove();
      expect(await waits()).toMatchObject({ waiting: 0, active: 0 });
    }, 60_000);
  });
}

/** Seven things that go wrong in the field, one each. */
async function breakThings({ redis, base, composition }: Stage): Promise<void> {
  const idOf = (number: number) => `broken-${String(number).padStart(7, '0')}`;
  const slotOf = async (id: string) => Number(await redis.zscore(`${base}:repeat`, id));
  const jobIdOf = async (id: string) => `repeat:${id}:${await slotOf(id)}`;
  const [lost, gone, phase, late, period, twice] = [1, 2, 3, 4, 5, 6].map(idOf) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const lostJob = await jobIdOf(lost);
  await redis.zrem(`${base}:delayed`, lostJob);
  await redis.del(`${base}:${lostJob}`);
  await composition.queue.unschedule(gone);
  await redis.hincrby(`${base}:repeat:${phase}`, 'offset', 1_000);
  await redis.zincrby(`${base}:delayed`, 600_000 * 4_096, await jobIdOf(late));
  await redis.hset(`${base}:repeat:${period}`, 'every', HOUR_MS);
  const slot = await slotOf(twice);
  const second = `repeat:${twice}:${slot + 1}`;
  await redis.copy(`${base}:${await jobIdOf(twice)}`, `${base}:${second}`);
  await redis.zadd(`${base}:delayed`, slot * 4_096 + 5, second);
  for (const nobody of ['nobody-1', 'nobody-2'])
    await composition.queue.schedule({ authorizationId: nobody, periodMs: PERIOD_MS });
}

/** The store has a new period, and a plan at the new slot. */
async function changePeriod({ sql, composition }: Stage, where: string, periodMs: number): Promise<void> {
  await sql(
    `update perennial.authorizations set period_ms = $1::double precision,
      next_run_at = floor($2::double precision / $1) * $1 + floor(phase * $1)
        + case when floor($2::double precision / $1) * $1 + floor(phase * $1) > $2 then 0 else $1 end
      where ${where}`,
    [periodMs, composition.context.clock.now()],
  );
}

function elapsed(ms: number): () => boolean {
  const from = performance.now();
  return () => performance.now() - from >= ms;
}
