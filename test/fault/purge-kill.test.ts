import { afterAll, beforeAll, describe, test } from 'vitest';
import { findServices, missingOf } from '../support/system-places.ts';
import { everyPurgeKill, killAllPurges, purgeReportOf } from './purge-kill/report.ts';
import { killPurge, type PurgeVerdict } from './purge-kill/run.ts';
import { openPurgeStage, type PurgeStage } from './purge-kill/stage.ts';

const CAP_MS = 120_000;

const services = await findServices();
const name = 'a worker process that is killed at any step of a purge';

if (services.postgres === null || services.redisUrl === null) {
  describe.skip(`${name} ${missingOf(services)}`, () => {
    test('leaves it to be finished by another', () => undefined);
  });
} else {
  describe.concurrent(name, () => {
    let opened: PurgeStage | null = null;
    let verdicts: readonly PurgeVerdict[] = [];
    const stage = (): PurgeStage => {
      if (opened === null) throw new Error('the stage did not open');
      return opened;
    };

    beforeAll(async () => {
      opened = await openPurgeStage(services);
    });

    afterAll(async () => {
      await opened?.close();
      process.stdout.write(`\n${name}\n${purgeReportOf(verdicts)}\n`);
    });

    test('the purge ends with exactly one receipt, never while the key exists, and fetches nothing again', {
      timeout: CAP_MS,
    }, async ({ expect }) => {
      const kills = everyPurgeKill(1);
      verdicts = await killAllPurges({ stage: stage(), kills, lanes: kills.length });
      expect(verdicts.filter(({ faults }) => faults.length > 0)).toEqual([]);
      expect(verdicts).toHaveLength(kills.length);
    });

    test('control: a purge that writes the receipt before it destroys the key is caught at the moment of its death', {
      timeout: CAP_MS,
    }, async ({ expect }) => {
      const kill = { step: 'P9', moment: 'receipt-written', seed: 0, defect: 'receipt-first' } as const;
      const { faults } = await killPurge({ stage: stage(), kill });
      expect(faults).toContain('a receipt while the key exists');
    });
  });
}
