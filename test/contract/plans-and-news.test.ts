import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPool } from '../../src/adapters/store/pool.ts';
import { openPostgresStore } from '../../src/adapters/store/postgres.ts';
import type { Fence, Plan, Store } from '../../src/core/ports/store.ts';
import { NO_POSTGRES, postgresForTests, type Sql } from '../support/databases.ts';
import { NOTARY } from '../support/notary.ts';
import { until } from '../support/system-until.ts';
import { ACTOR, inserted, NOW, newId, taken, tokensOf } from './store/samples.ts';

const HOUR_MS = 3_600_000;
const PERIOD_MS = 6 * HOUR_MS;
/** When the source tells of its news, and what the run that has just ended planned by what it knew. */
const TOLD_AT = NOW + 60_000;
const PLANNED_AT = NOW + PERIOD_MS;
const postgres = await postgresForTests();

const plan: Plan = {
  patch: { nextRunAt: PLANNED_AT, nextPullAt: PLANNED_AT, failedRuns: 7 },
  asOf: { periodMs: PERIOD_MS, toldAt: null },
  release: { owner: ACTOR },
};
type Write = (store: Store, fence: Fence) => Promise<string>;
const byItself: Write = (store, fence) => store.updateAsOf({ ...fence, ...plan, actor: ACTOR });
const withItsPair: Write = (store, fence) =>
  store.commitTokens({ ...fence, expectedVersion: 1, tokens: tokensOf(2), patch: {}, actor: ACTOR, plan });

/** A store, another connection that can hold its rows, and a look at who waits. */
type Stage = { readonly store: Store; readonly holder: ReturnType<typeof openPool>; readonly run: Sql };

if (postgres === null) {
  describe.skip(`a plan and news at the same moment ${NO_POSTGRES}`, () => {
    test('both stand', () => undefined);
  });
} else {
  describe('a plan and news that wait for the same row', () => {
    let stage: Stage;
    let close: () => Promise<void>;
    beforeAll(async () => {
      const { databaseUrl, sql: run, drop } = await postgres.createDatabase();
      const store = await openPostgresStore({ databaseUrl, poolSize: 4, now: () => NOW, notary: NOTARY });
      const holder = openPool({ databaseUrl, poolSize: 1, statementTimeoutMs: 10_000 });
      stage = { store, holder, run };
      close = async () => {
        await Promise.all([store.close(), holder.destroy()]);
        await drop();
      };
    });
    afterAll(() => close());

    test.each([
      ['a plan by itself', byItself, 'changed', 1],
      ['a plan beside a new pair', withItsPair, 'committed', 2],
    ] as const)('%s that comes behind the news is not written', async (_which, write, answer, version) => {
      const raced = await race({ stage, write, first: 'news' });
      expect(raced).toMatchObject({ answer, version });
      expect(raced.stands).toMatchObject({ toldAt: TOLD_AT, nextRunAt: TOLD_AT, nextPullAt: null, failedRuns: 0 });
    });

    test.each([
      ['a plan by itself', byItself, 'committed', 1],
      ['a plan beside a new pair', withItsPair, 'planned', 2],
    ] as const)(
      'news that come behind %s move it forward, and leave the rest',
      async (_which, write, answer, version) => {
        const raced = await race({ stage, write, first: 'plan' });
        expect(raced).toMatchObject({ answer, version });
        expect(raced.stands).toMatchObject({
          toldAt: TOLD_AT,
          nextRunAt: TOLD_AT,
          nextPullAt: PLANNED_AT,
          failedRuns: 7,
        });
      },
    );

    test('control: a plan that is written as of nothing puts the news off', async () => {
      const blindly: Write = (store, fence) => store.update({ ...fence, patch: plan.patch, actor: ACTOR });
      const { answer, stands } = await race({ stage, write: blindly, first: 'news' });
      expect(answer).toBe('committed');
      expect(stands).toMatchObject({ toldAt: TOLD_AT, nextRunAt: PLANNED_AT });
    });
  });
}

/** Holds the authorization's row until both wait for it in the wanted order, lets go, and says what stands there afterwards. */
async function race({
  stage: { store, holder, run },
  write,
  first,
}: {
  readonly stage: Stage;
  readonly write: Write;
  readonly first: 'news' | 'plan';
}) {
  // Its slot is an hour away, and the run that plans came before it.
  const standing = { usage: 'MULTIPLE', periodMs: PERIOD_MS, nextRunAt: NOW + HOUR_MS, failedRuns: 0 } as const;
  const id = await inserted(store, { ...standing, nextPullAt: null, toldAt: null, trouble: null });
  const fence = await taken(store, id);
  const news = () => store.takeHook({ source: 'flexpa', eventId: newId(), id, refs: [], at: TOLD_AT, tells: 'news' });
  const { plans, hook } = await holder.transaction().execute(async (tx) => {
    await sql`select 1 from perennial.authorizations where id = ${id} for update`.execute(tx);
    const early = first === 'plan' ? { plans: write(store, fence) } : { hook: news() };
    await waiters(run, 1);
    const both = { plans: early.plans ?? write(store, fence), hook: early.hook ?? news() };
    await waiters(run, 2);
    return both;
  });
  expect(await hook).toStrictEqual([id]);
  return { answer: await plans, stands: await store.get(id), version: (await store.tokens(id))?.version };
}

async function waiters(run: Sql, count: number): Promise<void> {
  const look = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  await until(
    `${count} that wait for the row`,
    () => run(look),
    (found) => found.length === count,
    { everyMs: 10 },
  );
}
