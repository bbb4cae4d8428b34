import { connect, createServer, type Socket } from 'node:net';

export type SilentProxy = {
  readonly url: string;
  /** From now on the connections of this moment stay open and carry nothing; new ones work. */
  readonly silence: () => void;
  readonly close: () => Promise<void>;
};

/** A TCP proxy between a client and a server that can go silent, as a network does that drops packets. */
export async function silentProxy(target: URL): Promise<SilentProxy> {
  const pairs: (readonly [Socket, Socket])[] = [];
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.pipe(upstream);
    upstream.pipe(client);
    pairs.push([client, upstream]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = new URL(target);
  url.port = typeof address === 'object' && address !== null ? String(address.port) : '';
  return {
    url: url.href,
    silence: () => {
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream);
        upstream.unpipe(client);
      }
    },
    close: async () => {
      for (const socket of pairs.flat()) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
