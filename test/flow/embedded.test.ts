import { describe, test } from 'vitest';
import { embeddedPlace, runsEmbeddedToo } from '../support/system-places.ts';
import { systemContract } from './system.contract.ts';

if (await runsEmbeddedToo()) systemContract('the system on the embedded database', embeddedPlace);
else {
  describe.skip('the system on the embedded database SKIPPED: REDIS AND POSTGRES ANSWER; PERENNIAL_EMBEDDED_ONLY=1 RUNS IT', () => {
    test('all of the contract', () => undefined);
  });
}
