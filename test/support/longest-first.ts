import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, most of it waiting: begun last it would run on alone. Without a cache Vitest begins with the largest files, and these are small. */
const LONGEST = [
  'test/fleet/faults',
  'test/flow/redis-losses',
  'test/flow/adaptive',
  'test/fault/kill-matrix',
  'test/fault/process',
  'test/flow/gates',
  'test/flow/redis-postgres',
  'test/contract/store',
  'test/queue/cluster',
  'test/pull/round-trip',
  'test/queue/redis-kinds',
  'test/flow/purges-in-time',
  'test/fault/frozen-worker',
  'test/fault/poison',
  'test/queue/postgres',
  'test/flow/catch-up',
  'test/flow/sharded',
  'test/queue/redis.',
  'test/flow/reconcile.',
  'test/flow/plan-load',
  'test/fault/command-line',
  'test/fault/purge-kill',
  'test/contract/vault.',
  'test/leak/restore',
  'test/property/bundle.',
  'test/fault/refused-starts',
  'test/property/refresh-races',
  'test/flow/embedded',
  'test/property/year',
  'test/pull/memory',
  'test/fault/rotation-killed',
];

/** Begins with {@link LONGEST}; the others follow as Vitest has them. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rankOf = ({ moduleId }: TestSpecification): number => {
      const rank = LONGEST.findIndex((start) => moduleId.includes(start));
      return rank === -1 ? LONGEST.length : rank;
    };
    return (await super.sort(files)).sort((left, right) => rankOf(left) - rankOf(right));
  }
}
