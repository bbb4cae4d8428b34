import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, most of it waiting: begun last it would run on alone. Without a cache Vitest begins with the largest files, and these are small. */
const LONGEST = [
  'test/fleet/faults',
  'test/fault/kill-matrix',
  'test/flow/redis-postgres',
  'test/flow/redis-losses',
  'test/flow/adaptive',
  'test/fault/process',
  'test/fault/frozen-worker',
  'test/flow/gates',
  'test/contract/store',
  'test/property/refresh-races',
  'test/flow/embedded',
  'test/queue/cluster',
  'test/queue/redis-kinds',
  'test/property/year',
  'test/pull/round-trip',
  'test/queue/postgres',
  'test/pull/memory',
  'test/flow/catch-up',
  'test/flow/sharded',
  'test/fault/rotation-killed',
  'test/fault/purge-kill',
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
