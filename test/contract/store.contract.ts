import { afterAll, beforeAll, describe } from 'vitest';
import { authorizationsContract } from './store/authorizations.ts';
import { calendarContract } from './store/calendar.ts';
import { fencesContract } from './store/fences.ts';
import { fleetContract } from './store/fleet.ts';
import { freshnessContract } from './store/freshness.ts';
import { leasesContract } from './store/leases.ts';
import { linksContract } from './store/links.ts';
import { oneEntryContract } from './store/one-entry.ts';
import { operationsContract } from './store/operations.ts';
import { previewsContract } from './store/previews.ts';
import { proofsContract } from './store/proofs.ts';
import { purgesContract } from './store/purges.ts';
import { recordsContract } from './store/records.ts';
import type { OpenedStore } from './store/samples.ts';
import { sourceStatesContract } from './store/source-states.ts';
import { togetherContract } from './store/together.ts';
import { tokensContract } from './store/tokens.ts';

/** What every implementation of the Store port promises. One store serves the whole suite; each test has ids of its own. */
export function storeContract(name: string, open: () => Promise<OpenedStore>): void {
  describe(name, () => {
    let opened: OpenedStore | null = null;
    const use = (): OpenedStore => {
      if (opened === null) throw new Error('the store is not open');
      return opened;
    };
    beforeAll(async () => {
      opened = await open();
    });
    afterAll(async () => {
      await opened?.close();
    });
    // Counts all that stand in a network, so it comes before those that leave some there.
    freshnessContract(use);
    authorizationsContract(use);
    leasesContract(use);
    fleetContract(use);
    previewsContract(use);
    fencesContract(use);
    tokensContract(use);
    togetherContract(use);
    recordsContract(use);
    purgesContract(use);
    proofsContract(use);
    sourceStatesContract(use);
    calendarContract(use);
    linksContract(use);
    oneEntryContract(use);
    operationsContract(use);
  });
}
