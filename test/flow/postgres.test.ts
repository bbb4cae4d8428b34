import { describe, test } from 'vitest';
import { findServices, missingOf, postgresPlace } from '../support/system-places.ts';
import { systemContract } from './system.contract.ts';

const { postgres } = await findServices();

if (postgres === null) {
  describe.skip(`the system on Postgres alone ${missingOf({ postgres, redisUrl: '' })}`, () => {
    test('all of the contract', () => undefined);
  });
} else {
  systemContract('the system on Postgres alone, BullMQ included', () => postgresPlace(postgres));
}
