import { type OwnServer, type OwnServers, openServers } from './own-servers.ts';
import { until } from './system-until.ts';

const SLOTS = 16_384;
const MASTERS = 3;

/** A Redis Cluster of three masters that a test started; nothing else uses it. */
export type OwnCluster = {
  readonly url: string;
  readonly nodes: readonly OwnServer[];
  /** Every key of all nodes that holds the text. */
  readonly keysWith: (text: string) => Promise<readonly string[]>;
  /** Waits until every node that is asked says that the cluster is as `fits` says. */
  readonly reaches: (state: 'ok' | 'fail', nodes?: readonly OwnServer[]) => Promise<void>;
  readonly close: OwnServers['close'];
};

/** Starts three masters that share the slots evenly. One that is lost stops its own slots alone. */
export async function startOwnCluster(): Promise<OwnCluster> {
  const servers = await openServers();
  const options = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000'];
  const partial = ['--cluster-require-full-coverage', 'no', '--maxmemory-policy', 'noeviction'];
  const nodes: OwnServer[] = [];
  for (let node = 0; node < MASTERS; node += 1) nodes.push(await servers.start([...options, ...partial]));
  const [first] = nodes;
  for (const [index, { redis }] of nodes.entries()) {
    const from = Math.ceil((index * SLOTS) / MASTERS);
    const to = Math.ceil(((index + 1) * SLOTS) / MASTERS) - 1;
    await redis.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    if (index > 0) await redis.call('CLUSTER', 'MEET', '127.0.0.1', String(first?.port));
  }
  const reaches: OwnCluster['reaches'] = async (state, asked = nodes) => {
    for (const { port, redis } of asked) {
      await until(
        `node ${port} says ${state}`,
        () => redis.call('CLUSTER', 'INFO').then(String),
        (info) => info.includes(`cluster_state:${state}`) && info.includes(`cluster_known_nodes:${MASTERS}`),
      );
    }
  };
  await reaches('ok');
  return {
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    nodes,
    keysWith: async (text) => (await Promise.all(nodes.map(({ redis }) => redis.keys(`*${text}*`)))).flat(),
    reaches,
    close: servers.close,
  };
}
