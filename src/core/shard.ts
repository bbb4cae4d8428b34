import { spreadOf } from './spread.ts';

/** Each shard costs a process four blocking connections, and a Redis takes 10,000 connections by default. */
export const QUEUE_SHARDS_MAX = 256;

/**
 * In which of so many shards an authorization's jobs lie, 0 to `shards - 1`: the same for ever, and even. Of another hash than its phase, or each shard would
 * have a hot hour of its own.
 */
export function shardOf({
  authorizationId,
  shards,
}: {
  readonly authorizationId: string;
  readonly shards: number;
}): number {
  return Math.min(shards - 1, Math.floor(spreadOf(`${authorizationId}#`) * shards));
}
