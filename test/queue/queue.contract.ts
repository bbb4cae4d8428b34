import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { type Bench, openBench, type Place } from './bench.ts';
import { addingContract } from './contract/adding.ts';
import { bringingContract } from './contract/bringing.ts';
import { censusContract } from './contract/census.ts';
import { consumingContract } from './contract/consuming.ts';
import { removingContract } from './contract/removing.ts';
import { restartContract } from './contract/restart.ts';
import { schedulingContract } from './contract/scheduling.ts';
import { sweepingContract } from './contract/sweeping.ts';

/** What the tests of one suite share: the place, and whatever stands open on it now. */
export type Suite = { readonly place: () => Place; readonly bench: () => Bench; readonly reopen: () => Promise<Bench> };

/** What the flows count on, whatever BullMQ lies on. */
export function queueContract(name: string, makePlace: () => Promise<Place>): void {
  describe(name, () => {
    let place: Place;
    let bench: Bench;
    beforeAll(async () => {
      place = await makePlace();
      bench = await openBench(place);
    });
    afterEach(() => bench.tidy());
    afterAll(async () => {
      await bench.close();
      await place.dispose();
    });
    const suite: Suite = {
      place: () => place,
      bench: () => bench,
      reopen: async () => {
        await bench.close();
        bench = await openBench(place);
        return bench;
      },
    };
    schedulingContract(suite);
    addingContract(suite);
    bringingContract(suite);
    removingContract(suite);
    sweepingContract(suite);
    consumingContract(suite);
    restartContract(suite);
    censusContract(suite);
  });
}
