import { afterAll, beforeAll, describe } from 'vitest';
import { type System, startSystem } from '../support/system.ts';
import type { Place } from '../support/system-places.ts';
import { startWorld, type World } from '../support/world.ts';
import { acceptsOnce } from './system/accept.ts';
import { keepsMultipleFresh } from './system/multiple.ts';
import { fetchesOnceAndErases } from './system/one-time.ts';
import { pullsWhatCanBeHad } from './system/pull.ts';
import { erasesWhenAsked } from './system/purge.ts';
import { readsWhatIsStored } from './system/records.ts';
import { handsOutTokens, takesASecondLook, warnsAheadOfTheEnd } from './system/safety.ts';
import { settlesSuspicions } from './system/suspicions.ts';
import { neverLosesATokenSilently } from './system/tokens.ts';
import { waitsForTheSource } from './system/weather.ts';

/** A running Perennial and the source it talks to. */
export type Stage = { readonly system: System; readonly world: World };

/** Every promise of the whole system, held by one suite wherever its store and its queue lie. */
export function systemContract(
  name: string,
  open: () => Promise<Place>,
  more: (stage: () => Stage) => void = () => undefined,
): void {
  describe.concurrent(name, () => {
    let opened: (Stage & { readonly close: () => Promise<void> }) | null = null;
    const stage = (): Stage => {
      if (opened === null) throw new Error('the system did not start');
      return opened;
    };

    beforeAll(async () => {
      const world = await startWorld();
      const place = await open();
      const system = await startSystem({ place, world });
      const close = async (): Promise<void> => {
        await system.stop();
        await world.close();
        await place.close();
      };
      opened = { world, system, close };
    });

    afterAll(async () => {
      await opened?.close();
    });

    // What takes longest comes first.
    more(stage);
    keepsMultipleFresh(stage);
    fetchesOnceAndErases(stage);
    acceptsOnce(stage);
    neverLosesATokenSilently(stage);
    handsOutTokens(stage);
    warnsAheadOfTheEnd(stage);
    takesASecondLook(stage);
    waitsForTheSource(stage);
    pullsWhatCanBeHad(stage);
    readsWhatIsStored(stage);
    settlesSuspicions(stage);
    erasesWhenAsked(stage);
  });
}
