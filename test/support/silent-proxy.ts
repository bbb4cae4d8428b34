import { connect, createServer, type Socket } from 'node:net';

export type SilentProxy = {
  readonly url: string;
  /** From now on the connections of this moment stay open and carry nothing; new ones work. */
  readonly silence: () => void;
  readonly close: () => Promise<void>;
};

/** A TCP proxy between a client and a server that can go silent, as a network does that drops packets. */
export async function silentProxy(target: URL): Promise<SilentProxy> {
  const pairs = new Set<Pair>();
  const server = createServer((client) => {
    const pair = { client, upstream: connect(Number(target.port), target.hostname), silent: false };
    pairs.add(pair);
    join(pair, () => pairs.delete(pair));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = new URL(target);
  url.port = typeof address === 'object' && address !== null ? String(address.port) : '';
  return {
    url: url.href,
    silence: () => {
      for (const pair of pairs) {
        pair.silent = true;
        pair.client.unpipe(pair.upstream);
        pair.upstream.unpipe(pair.client);
      }
    },
    close: async () => {
      for (const { client, upstream } of pairs) for (const socket of [client, upstream]) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Pair = { readonly client: Socket; readonly upstream: Socket; silent: boolean };

/** The end of one side is the end of the other, unless the network between them has gone silent: then neither hears of it. */
function join(pair: Pair, over: () => void): void {
  const { client, upstream } = pair;
  for (const socket of [client, upstream]) socket.on('error', () => undefined);
  client.pipe(upstream);
  upstream.pipe(client);
  client.once('close', () => {
    upstream.destroy();
    over();
  });
  upstream.once('close', () => {
    if (!pair.silent) client.destroy();
  });
}
