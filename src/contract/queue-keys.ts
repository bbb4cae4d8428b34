/**
 * The Redis set that holds where the jobs of one authorization lie whose ids cannot be told from its own, such as what was handed in, as `<queue>:<job id>`.
 * Whoever adds such a job notes it there first, so that a purge finds it without a look at everybody's.
 */
export function jobsOfKey({ prefix, authorizationId }: { readonly prefix: string; readonly authorizationId: string }) {
  return `${prefix}:jobs-of:${authorizationId}`;
}

/**
 * The sorted set of the runs of one authorization's repeating job that may lie somewhere, by the milliseconds in their ids. Only short members of a sorted set lie in
 * a listpack on every Redis from 7.0 on: as a member of {@link jobsOfKey} a run would cost 150 bytes more.
 */
export function runsOfKey({ prefix, authorizationId }: { readonly prefix: string; readonly authorizationId: string }) {
  return `${prefix}:runs-of:${authorizationId}`;
}

/** Numbers the jobs that are handed in. */
export function handedCounterKey(prefix: string): string {
  return `${prefix}:handed`;
}

/** The prefix of the intake queue. In a cluster it is a hash tag, since BullMQ's scripts need all keys of a queue in one slot. */
export function intakePrefixOf({ prefix, cluster }: { readonly prefix: string; readonly cluster: boolean }): string {
  return cluster ? `{${prefix}}` : prefix;
}

/**
 * The prefix of one shard, a hash tag: `{perennial:2-of-4}`. It names the number of shards, so that no two layouts share a key and one that is given up can be
 * emptied whole. A single shard on one Redis needs no tag, and lies where it lay before there were shards.
 */
export function shardPrefixOf({
  prefix,
  index,
  shards,
  cluster,
}: {
  readonly prefix: string;
  readonly index: number;
  readonly shards: number;
  readonly cluster: boolean;
}): string {
  return shards === 1 && !cluster ? prefix : `{${prefix}:${index}-of-${shards}}`;
}

/** Which layouts may hold something, by their numbers of shards, and when a worker last took from each. */
export function layoutsKey(intakePrefix: string): string {
  return `${intakePrefix}:layouts`;
}

/** A queue's name for people: with its shard, such as `purge-2-of-4`, where there are several. */
export function queueTitleOf({ name, prefix }: { readonly name: string; readonly prefix: string }): string {
  const label = /^\{.*:(\d+-of-\d+)\}$/.exec(prefix)?.[1];
  return label === undefined ? name : `${name}-${label}`;
}
