import { describe, test } from 'vitest';
import { findServices, missingOf, postgresPlace } from '../support/system-places.ts';
import { systemContract } from './system.contract.ts';

const { postgres } = await findServices();

const SOAK = process.env['PERENNIAL_SOAK'] === '1';

/** Its parts, BullMQ on PostgreSQL and the store on Postgres, are held to their contracts always, and together they run embedded: this suite is for soaks. */
if (postgres === null || !SOAK) {
  const why = postgres === null ? missingOf({ postgres, redisUrl: '' }) : 'SKIPPED: PERENNIAL_SOAK=1 RUNS IT';
  describe.skip(`the system on Postgres alone ${why}`, () => {
    test('all of the contract', () => undefined);
  });
} else {
  systemContract('the system on Postgres alone, BullMQ included', () => postgresPlace(postgres));
}
