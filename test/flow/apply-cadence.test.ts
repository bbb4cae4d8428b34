import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CadenceTable } from '../../src/core/cadence.ts';
import { applyCadence } from '../../src/flows/apply-cadence.ts';
import { canStartRedis } from '../support/own-redis.ts';
import { openStage, type Stage } from '../support/reconcile-stage.ts';
import { findServices, missingOf } from '../support/system-places.ts';

const HOUR_MS = 3_600_000;
const COUNT = 60;
const services = await findServices();
const { postgres } = services;
const twiceADay: CadenceTable = { networks: { ONC_G10: { pullEveryMs: 12 * HOUR_MS } }, endpoints: {} };

if (postgres === null || !canStartRedis) {
  describe.skip(`a changed cadence table ${missingOf(services)}`, () => {
    test('is applied', () => undefined);
  });
} else {
  describe('a changed cadence table', () => {
    let stage: Stage;
    beforeAll(async () => {
      stage = await openStage(postgres);
      await stage.insert('moved', COUNT, 23 * HOUR_MS);
      await stage.sql(
        `insert into perennial.tokens (authorization_id, version, has_refresh_token, access_expires_at, access_lifetime_ms, sealed)
          select id, 1, true, $1::double precision + 86400000, 86400000, ''::bytea from perennial.authorizations`,
        [stage.composition.context.clock.now()],
      );
    }, 60_000);
    afterAll(() => stage.close(), 60_000);

    const periods = () =>
      stage.sql(
        'select period_ms, count(*)::int as count, min(next_run_at) as first, max(next_run_at) as last from perennial.authorizations group by 1',
      );

    test('moves all that stand to their new period at once, by one of two workers, each to a run of its own, and the queue with them', async () => {
      const worker = stage.takeJobs();
      const context = { ...stage.composition.context, cadence: twiceADay };
      const signal = new AbortController().signal;
      const other = { ...context, owner: `${context.owner}-other` };
      const moved = await Promise.all([applyCadence({ context, signal }), applyCadence({ context: other, signal })]);
      expect(moved.toSorted((a, b) => a - b)).toEqual([0, COUNT]);
      const now = context.clock.now();
      const [row, ...others] = await periods();
      expect(others).toEqual([]);
      expect(row).toMatchObject({ period_ms: 12 * HOUR_MS, count: COUNT });
      expect(Number(row?.['last'])).toBeLessThan(now + 12 * HOUR_MS);
      expect(Number(row?.['last']) - Number(row?.['first'])).toBeGreaterThan(9 * HOUR_MS);
      expect(await stage.wrongs()).toEqual([]);
      await worker.stop();
      expect(worker.ran, 'nothing runs for it').toEqual([]);
    });

    test('that is applied already moves nobody', async () => {
      const context = { ...stage.composition.context, cadence: twiceADay };
      expect(await applyCadence({ context, signal: new AbortController().signal })).toBe(0);
    });

    test('that is taken back moves all of them back', async () => {
      const context = { ...stage.composition.context, cadence: { networks: {}, endpoints: {} } };
      expect(await applyCadence({ context, signal: new AbortController().signal })).toBe(COUNT);
      expect((await periods())[0]).toMatchObject({ period_ms: 23 * HOUR_MS, count: COUNT });
    });
  });
}
