import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, most of it waiting: begun last it would run on alone. Without a cache Vitest begins with the largest files, and these are small. */
const LONGEST = [
  'test/fleet/faults',
  'test/flow/redis-losses',
  'test/contract/store',
  'test/fault/kill-matrix',
  'test/flow/adaptive',
  'test/fault/process',
  'test/flow/redis-postgres',
  'test/flow/gates',
  'test/flow/reconcile.',
  'test/queue/redis-itself',
  'test/queue/cluster',
  'test/pull/round-trip',
  'test/flow/plan-load',
  'test/queue/redis-kinds',
  'test/queue/postgres',
  'test/fault/frozen-worker',
  'test/property/year',
  'test/fault/command-line',
  'test/flow/purges-in-time',
  'test/property/refresh-races',
  'test/flow/catch-up',
  'test/fault/rotation-killed',
  'test/fault/purge-kill',
  'test/queue/redis.',
  'test/upstream/stream-memory',
  'test/contract/vault.',
  'test/flow/sharded',
  'test/fault/key-store-lost',
  'test/fault/refused-starts',
  'test/leak/restore',
  'test/packaging/package',
  'test/pull/memory',
  'test/property/bundle.',
  'test/flow/embedded',
  'test/fault/poison',
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
