import { afterAll, beforeAll, describe, test } from 'vitest';
import { findServices, missingOf } from '../support/system-places.ts';
import { brokenPromises, everyKill, killAll, unannounced } from './kill/matrix.ts';
import { reportOf } from './kill/report.ts';
import type { Kill, Verdict } from './kill/run.ts';
import { openStage, type Stage } from './kill/stage.ts';

/** Far above what a recovery takes (10 s), since the machine may stall; what is not repaired by then is lost without a word. */
const REPAIR_WITHIN_MS = 60_000;
/** The grace window, and a second: from there on nothing can be repaired. */
const GRACE_IS_OVER_MS = 31_000;
const CAP_MS = 170_000;
/** `npm run soak:tokens` kills at sources of all four kinds; each kill here is a process that starts for 2 s of processor time. */
const FORGIVING = ['B'] as const;

const services = await findServices();
const name = 'a worker process that is killed at any point of a refresh';

if (services.postgres === null) {
  describe.skip(`${name} ${missingOf(services)}`, () => {
    test('loses no authorization', () => undefined);
  });
} else {
  describe.concurrent(name, () => {
    let opened: Stage | null = null;
    const all: Verdict[] = [];
    const killThem = async (kills: readonly Kill[]): Promise<{ stage: Stage; verdicts: readonly Verdict[] }> => {
      if (opened === null) throw new Error('the stage did not open');
      return { stage: opened, verdicts: await killAll({ stage: opened, kills, lanes: kills.length }) };
    };

    beforeAll(async () => {
      opened = await openStage(services);
    });

    afterAll(async () => {
      await opened?.close();
      process.stdout.write(`\n${name}\n${reportOf(all)}\n`);
    });

    // What takes longest comes first.
    test('control: without its intent, what was spent and not stored is lost, and nobody says so', {
      timeout: CAP_MS,
    }, async ({ expect }) => {
      const broken = { seed: 0, defect: 'no-intent', repairWithinMs: GRACE_IS_OVER_MS } as const;
      const kills = (['C', 'D'] as const).flatMap((policy): readonly Kill[] => [
        { ...broken, policy, point: 'K4', moment: 'head-received' },
        { ...broken, policy, point: 'K5' },
      ]);
      const { verdicts } = await killThem(kills);
      expect(verdicts.map(({ outcome }) => outcome)).toEqual(kills.map(() => 'silent'));
      expect(brokenPromises(verdicts)).toHaveLength(kills.length);
    });

    test('loses no authorization where the source takes the last token again for 30 s', {
      timeout: CAP_MS,
    }, async ({ expect }) => {
      const { verdicts } = await killThem(kills(FORGIVING));
      all.push(...verdicts);
      expect(brokenPromises(verdicts)).toEqual([]);
    });

    test('loses at a strict source only what was under way, and each loss is announced', {
      timeout: CAP_MS,
    }, async ({ expect }) => {
      const { stage, verdicts } = await killThem(kills(['D']));
      all.push(...verdicts);
      expect(brokenPromises(verdicts)).toEqual([]);
      const spent = verdicts.filter(({ point }) => point === 'K4' || point === 'K5');
      expect(
        spent.map(({ outcome }) => outcome),
        'the blows fall where they are said to',
      ).toEqual(['ambiguous', 'ambiguous']);
      expect(await unannounced({ store: stage.context.store, verdicts })).toEqual([]);
    });
  });
}

/** Every point once. */
function kills(policies: readonly Kill['policy'][]): readonly Kill[] {
  return everyKill({ seeds: 1, repairWithinMs: REPAIR_WITHIN_MS }).filter(({ policy }) => policies.includes(policy));
}
