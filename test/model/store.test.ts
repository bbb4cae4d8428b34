import { describe } from 'vitest';
import { STATES } from '../../src/core/authorization.ts';
import { authorizationsContract } from '../contract/store/authorizations.ts';
import { calendarContract } from '../contract/store/calendar.ts';
import { fencesContract } from '../contract/store/fences.ts';
import { fleetContract } from '../contract/store/fleet.ts';
import { leasesContract } from '../contract/store/leases.ts';
import { oneEntryContract } from '../contract/store/one-entry.ts';
import { previewsContract } from '../contract/store/previews.ts';
import { purgesContract } from '../contract/store/purges.ts';
import { recordsContract } from '../contract/store/records.ts';
import { NOW, type OpenedStore } from '../contract/store/samples.ts';
import { sourceStatesContract } from '../contract/store/source-states.ts';
import { tokensContract } from '../contract/store/tokens.ts';
import type { Sql } from '../support/databases.ts';
import { createStoreModel } from '../support/model/store.ts';
import type { Tables } from '../support/model/store-tables.ts';

/** The model that the schedules run on keeps what the real stores promise; only what is said of SQL itself is left out. */
describe('Store in memory, on which schedules are tried', () => {
  const opened = openModel();
  const use = () => opened;
  authorizationsContract(use);
  leasesContract(use);
  fleetContract(use);
  previewsContract(use);
  fencesContract(use);
  tokensContract(use);
  recordsContract(use);
  purgesContract(use);
  sourceStatesContract(use);
  calendarContract(use);
  oneEntryContract(use);
});

function openModel(): OpenedStore {
  const { store, tables } = createStoreModel({ now: () => performance.now(), domainNow: () => NOW + 1_000 });
  return { store, sql: sqlOf(tables), migrateAgain: async () => undefined, close: store.close };
}

/** What the contract does around the port, on tables that are no SQL. */
function sqlOf(tables: Tables): Sql {
  return async (statement, [id, value] = []) => {
    if (typeof id !== 'string') throw new Error('no id');
    const lease = tables.leases.get(id);
    const row = tables.authorizations.get(id);
    const counted = /^select 1 from perennial\.(tokens|intents|packs|manifests|changes) /.exec(statement)?.[1];
    if (statement.startsWith('update perennial.leases set expires_at') && lease !== undefined) lease.expiresAt -= 1e9;
    else if (statement.startsWith('delete from perennial.leases')) tables.leases.delete(id);
    else if (statement.startsWith('update perennial.authorizations set state') && row !== undefined) {
      const state = STATES.find((one) => one === value);
      if (state === undefined) throw new Error('no state');
      row.authorization = { ...row.authorization, state };
    } else if (counted !== undefined) return countedIn(tables, counted, id) ? [{ '?column?': 1 }] : [];
    else throw new Error(`the model knows nothing of: ${statement}`);
    return [];
  };
}

function countedIn(tables: Tables, name: string, id: string): boolean {
  const all = [tables.tokens, tables.intents, tables.packs, tables.manifests, tables.changes];
  return all[['tokens', 'intents', 'packs', 'manifests', 'changes'].indexOf(name)]?.has(id) ?? true;
}
