import { intakePrefixOf, shardPrefixOf } from '../../contract/queue-keys.ts';
import { type AuthorizationQueue, QUEUES, type QueueName } from '../../core/ports/queue.ts';
import { shardOf } from '../../core/shard.ts';

/** One part of the queues. All its keys begin with the prefix, and lie in one slot of a Redis Cluster. */
export type Shard = { readonly prefix: string };

/** How the queues are spread: the intake queue in one place, the queues of authorizations over the shards. */
export type Layout = {
  readonly intake: Shard;
  readonly shards: readonly Shard[];
  /** The shard of one authorization: all its jobs lie there. */
  readonly shardOf: (authorizationId: string) => Shard;
};

/** One BullMQ queue: its name, and where it lies. */
export type QueueAt = { readonly name: QueueName; readonly shard: Shard };

export const AUTHORIZATION_QUEUES = QUEUES.filter((name): name is AuthorizationQueue => name !== 'intake');

export function layoutOf({
  prefix,
  shards: count,
  cluster,
}: {
  readonly prefix: string;
  readonly shards: number;
  readonly cluster: boolean;
}): Layout {
  const intake = { prefix: intakePrefixOf({ prefix, cluster }) };
  const shards = Array.from({ length: count }, (_, index) => ({
    prefix: shardPrefixOf({ prefix, index, shards: count, cluster }),
  }));
  return {
    intake,
    shards,
    shardOf: (authorizationId) => shards[shardOf({ authorizationId, shards: count })] ?? intake,
  };
}

/** Every queue of a layout: intake, then shard by shard. */
export function queuesOf({ intake, shards }: Layout): readonly QueueAt[] {
  return [
    { name: 'intake', shard: intake },
    ...shards.flatMap((shard) => AUTHORIZATION_QUEUES.map((name) => ({ name, shard }))),
  ];
}
