import { sql as text } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEmbeddedDatabase } from '../../src/adapters/store/embedded.ts';
import { openPostgresStore } from '../../src/adapters/store/postgres.ts';
import { createStore } from '../../src/adapters/store/store.ts';
import { createClock } from '../../src/adapters/system/clock.ts';
import type { CadenceTable } from '../../src/core/cadence.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { applyCadence } from '../../src/flows/apply-cadence.ts';
import type { Context } from '../../src/flows/context.ts';
import { planLoad } from '../../src/flows/plan-load.ts';
import { NO_POSTGRES, postgresForTests, type Sql, temporaryFolder } from '../support/databases.ts';
import { layEmptyDatabases } from '../support/embedded-template.ts';
import { NOTARY } from '../support/notary.ts';
import { AS_IT_IS, insertFleet, loadsOf, NOW, printOf } from '../support/planned-fleet.ts';
import { QUIET_QUEUE } from '../support/quiet-queue.ts';
import { createLogMemory } from '../support/web.ts';

const HOUR_MS = 3_600_000;
const COUNT = 2_000;
const now = () => NOW;
const notary = NOTARY;
const postgres = await postgresForTests();

const OFTENER: CadenceTable = {
  networks: { TEFCA_IAS: { pullEveryMs: 4 * HOUR_MS }, ONC_G10: { lateAfterMs: 12 * HOUR_MS } },
  endpoints: { 'payer-3': { pullEveryMs: 2 * HOUR_MS } },
};
const SELDOMER: CadenceTable = {
  networks: { TEFCA_IAS: { pullEveryMs: 16 * HOUR_MS }, CMS_9115: { pullEveryMs: 8 * HOUR_MS } },
  endpoints: { 'payer-3': { pullEveryMs: 12 * HOUR_MS, lateAfterMs: 20 * HOUR_MS } },
};

/** A store, and the way around it. */
type Opened = { readonly store: Store; readonly sql: Sql; readonly close: () => Promise<void> };

previews('on PGlite', openOnPglite);

if (postgres === null) {
  describe.skip(`a preview of the fleet on Postgres ${NO_POSTGRES}`, () => {
    test('all of them', () => undefined);
  });
} else {
  previews('on Postgres', async () => {
    const { databaseUrl, sql, drop } = await postgres.createDatabase();
    const store = await openPostgresStore({ databaseUrl, poolSize: 8, now, notary });
    const close = async () => {
      await store.close();
      await drop();
    };
    return { store, sql, close };
  });
}

function previews(where: string, open: () => Promise<Opened>): void {
  describe(`a preview of the fleet ${where}`, () => {
    let opened: Opened;
    beforeAll(async () => {
      opened = await open();
      await insertFleet({ sql: opened.sql, count: COUNT });
    });
    afterAll(() => opened.close());

    const contextOf = (cadence: CadenceTable): Context => {
      const clock = { ...createClock({ epochMs: 0, speed: 1 }), now };
      const parts = { store: opened.store, clock, cadence, queue: QUIET_QUEUE };
      // What these two flows touch of the house, on a clock that stands.
      return {
        ...parts,
        owner: 'previewer',
        log: createLogMemory().log,
        stopping: new AbortController().signal,
      } as never;
    };
    const preview = (table: CadenceTable, before = AS_IT_IS) => planLoad({ context: contextOf(before), table });

    test('tells the runs that the slots of all that stand are, and changes nothing', async () => {
      const before = await printOf(opened.sql);
      const plan = await preview(AS_IT_IS);
      const stands = await loadsOf({ ...opened, table: AS_IT_IS });
      expect(plan.networks.reduce((sum, { authorizations }) => sum + authorizations, 0)).toBe(COUNT);
      expect(plan.quarterHours.before).toEqual(stands.quarterHours);
      expect(plan.quarterHours.after).toEqual(stands.quarterHours);
      expect(plan.endpoints).toHaveLength(stands.endpoints.size);
      for (const one of plan.networks) {
        expect(one).toMatchObject({ moved: 0, before: one.after });
        expect({ ...one.before, late: one.late }).toEqual(stands.networks.get(one.network));
      }
      expect(await printOf(opened.sql)).toEqual(before);
    });

    test.each([
      ['oftener', AS_IT_IS, OFTENER],
      ['seldomer, after that', OFTENER, SELDOMER],
    ] as const)('tells what the fleet becomes when it runs %s, to the run', async (_how, from, table) => {
      const untouched = await printOf(opened.sql);
      const earlier = await loadsOf({ ...opened, table: from });
      const plan = await preview(table, from);
      expect(await printOf(opened.sql)).toEqual(untouched);
      expect(plan.quarterHours.before).toEqual(earlier.quarterHours);
      const signal = new AbortController().signal;
      const moved = await applyCadence({ context: contextOf(table), signal });
      const later = await loadsOf({ ...opened, table });
      expect(moved).toBeGreaterThan(COUNT / 4);
      expect(plan.networks.reduce((sum, one) => sum + one.moved, 0)).toBe(moved);
      expect(plan.quarterHours.after).toEqual(later.quarterHours);
      for (const one of plan.networks) {
        const { late: _late, ...load } = earlier.networks.get(one.network) ?? {};
        expect(one.before).toEqual(load);
        expect({ ...one.after, late: one.late }).toEqual(later.networks.get(one.network));
      }
      for (const { network, endpointId, after, late } of plan.endpoints)
        expect({ ...after, late }).toEqual(later.endpoints.get(`${network} ${endpointId}`));
      // Control: what was applied is seen.
      expect(await printOf(opened.sql)).not.toEqual(untouched);
    });

    test('counts what is overdue as a run now, by any table', async () => {
      await opened.sql('update perennial.authorizations set next_run_at = $1', [NOW - 48 * HOUR_MS]);
      const { quarterHours, networks } = await preview(OFTENER, SELDOMER);
      expect(networks.reduce((sum, { moved }) => sum + moved, 0)).toBeGreaterThan(COUNT / 4);
      expect(quarterHours.before[0]).toBeGreaterThanOrEqual(COUNT);
      expect(quarterHours.after[0]).toBeGreaterThanOrEqual(COUNT);
    });
  });
}

async function openOnPglite(): Promise<Opened> {
  const folder = await temporaryFolder();
  await layEmptyDatabases(folder.path, ['store']);
  const database = await openEmbeddedDatabase({ dataDir: folder.path });
  const store = createStore({ database, now, notary });
  return {
    store,
    sql: async (statement, values = []) => {
      const compiled = text.raw(statement).compile(database);
      const { rows } = await database.executeQuery<Record<string, unknown>>({ ...compiled, parameters: values });
      return rows;
    },
    close: async () => {
      await store.close();
      await folder.remove();
    },
  };
}
