import { describe, expect, test } from 'vitest';
import { layoutOf, queuesOf } from '../../src/adapters/queue/layout.ts';
import { queueTitleOf } from '../../src/contract/queue-keys.ts';
import { phaseCandidates } from '../../src/core/phase.ts';
import { shardOf } from '../../src/core/shard.ts';

const ids = Array.from({ length: 20_000 }, (_, index) => `authorization-${index}`);

describe('the shard of an authorization', () => {
  test('is the same for ever, and of the range', () => {
    expect(['a', 'b', 'patient-1', ''].map((authorizationId) => shardOf({ authorizationId, shards: 16 }))).toEqual([
      5, 11, 9, 4,
    ]);
    for (const shards of [1, 2, 7, 256])
      for (const authorizationId of ids.slice(0, 500)) {
        const shard = shardOf({ authorizationId, shards });
        expect(Number.isInteger(shard) && shard >= 0 && shard < shards).toBe(true);
      }
  });

  test('is even: of 20,000 authorizations no shard of 16 has more than 8 % above the mean', () => {
    const loads = new Map<number, number>();
    for (const authorizationId of ids) {
      const shard = shardOf({ authorizationId, shards: 16 });
      loads.set(shard, (loads.get(shard) ?? 0) + 1);
    }
    expect(loads.size).toBe(16);
    expect(Math.max(...loads.values()) / (ids.length / 16)).toBeLessThan(1.08);
  });

  test('has nothing to do with the phase: each shard has its share of every hour; control: by the hash of the phase it would have one', () => {
    const hoursOf = (isIn: (id: string) => boolean) =>
      new Set(ids.filter(isIn).map((id) => Math.floor(phaseCandidates(id)[0] * 24))).size;
    expect(hoursOf((authorizationId) => shardOf({ authorizationId, shards: 24 }) === 5)).toBe(24);
    expect(hoursOf((id) => Math.floor(phaseCandidates(id)[0] * 24) === 5)).toBe(1);
  });
});

describe('where the queues lie', () => {
  test('one shard on one Redis lies where it always lay; several, and any in a Cluster, have hash tags of their own', () => {
    const prefixes = (shards: number, cluster: boolean) => {
      const layout = layoutOf({ prefix: 'perennial', shards, cluster });
      return [layout.intake.prefix, ...layout.shards.map(({ prefix }) => prefix)];
    };
    expect(prefixes(1, false)).toEqual(['perennial', 'perennial']);
    expect(prefixes(2, false)).toEqual(['perennial', '{perennial:0-of-2}', '{perennial:1-of-2}']);
    expect(prefixes(1, true)).toEqual(['{perennial}', '{perennial:0-of-1}']);
  });

  test('no two layouts share a prefix', () => {
    const all = [1, 2, 3, 4].flatMap((shards) =>
      layoutOf({ prefix: 'p', shards, cluster: true }).shards.map(({ prefix }) => prefix),
    );
    expect(new Set(all).size).toBe(all.length);
  });

  test('a queue is called by its name, and by its shard where there are several', () => {
    const titles = (shards: number) =>
      queuesOf(layoutOf({ prefix: 'p', shards, cluster: false })).map(({ name, shard: { prefix } }) =>
        queueTitleOf({ name, prefix }),
      );
    expect(titles(1)).toEqual(['intake', 'activate', 'refresh-and-pull', 'fetch-once', 'purge']);
    expect(titles(2).slice(0, 3)).toEqual(['intake', 'activate-0-of-2', 'refresh-and-pull-0-of-2']);
  });
});
