import { Cluster, Redis } from 'ioredis';
import type { RedisAddress } from '../../contract/redis-address.ts';
import { sendTogether } from './send-together.ts';

/** A connection to one Redis, to the master that Sentinels name, or to all masters of a Cluster. */
export type RedisClient = Redis | Cluster;

/** How a connection behaves, the same for all kinds of Redis. */
export type ConnectionManners = {
  readonly connectTimeoutMs: number;
  /** How long a command waits for its answer; null for commands that block. */
  readonly commandTimeoutMs: number | null;
  /** Whether a command waits for a connection that is away; otherwise it fails at once. */
  readonly waits: boolean;
  /** Whether a lost connection is made again. */
  readonly reconnects: boolean;
};

/** The longest wait between two tries to connect. */
const RECONNECT_MAX_MS = 1_000;
/** How long a server may take to say goodbye. */
const DISCONNECT_TIMEOUT_MS = 500;
/**
 * A connection whose server owes an answer for so long is given up and made again. One that was cut without a word would be written to for as long as TCP tries, a
 * quarter of an hour (seen: the worker that held the duty to reconcile stood behind such a one for five minutes). BullMQ's own blocking commands take 10 s at most.
 */
const SILENT_AFTER_MS = 15_000;
/** As many times its own timeout a connection is given that does not wait for answers: a server that is only busy may answer the next command. */
const SILENT_AFTER_TIMEOUTS = 2;
/** How long a Cluster may take to tell where its slots lie. */
const SLOTS_TIMEOUT_MS = 2_000;

/**
 * Opens a connection. It connects by itself, and its `error` events are heard: every command tells of a missing connection itself.
 * With `waits: false` a command fails at once while nobody can answer it; in a Cluster, ask {@link isUsable} before each call.
 */
export function connectRedis({
  address,
  manners,
}: {
  readonly address: RedisAddress;
  readonly manners: ConnectionManners;
}): RedisClient {
  const client = address.kind === 'cluster' ? cluster({ address, manners }) : single({ address, manners });
  client.on('error', () => {});
  if (client instanceof Redis) sendTogether(client);
  else client.on('+node', sendTogether);
  return client;
}

/**
 * Whether commands can be sent now. ioredis lets a Cluster either keep commands until it is there, or refuse the second command to a node that it has not talked to
 * yet; so it keeps them, and who must not wait asks here.
 */
export function isUsable(client: RedisClient): boolean {
  return client.status === 'ready';
}

/** The masters that hold keys: the one, or those of the Cluster. */
export function mastersOf(client: RedisClient): readonly Redis[] {
  return client instanceof Redis ? [client] : client.nodes('master');
}

function commonOf({ connectTimeoutMs, commandTimeoutMs, waits }: ConnectionManners) {
  return {
    connectTimeout: connectTimeoutMs,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: waits ? null : 1,
    socketTimeout: commandTimeoutMs === null ? SILENT_AFTER_MS : SILENT_AFTER_TIMEOUTS * commandTimeoutMs,
    ...(commandTimeoutMs === null ? {} : { commandTimeout: commandTimeoutMs }),
  };
}

function single({
  address,
  manners,
}: {
  readonly address: Exclude<RedisAddress, { readonly kind: 'cluster' }>;
  readonly manners: ConnectionManners;
}): Redis {
  const retry = (times: number) => (manners.reconnects ? Math.min(times * 100, RECONNECT_MAX_MS) : null);
  const options = { ...commonOf(manners), enableOfflineQueue: manners.waits, retryStrategy: retry };
  if (address.kind === 'single') return new Redis(address.url, options);
  const { nodes, master, db, sentinelPassword, tls } = address;
  return new Redis({
    ...options,
    ...accessOf(address),
    sentinels: nodes.map(({ host, port }) => ({ host, port })),
    name: master,
    db,
    sentinelRetryStrategy: retry,
    // A master that was demoted while the connection stood: asked again, the Sentinels name the new one.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
    ...(sentinelPassword === null ? {} : { sentinelPassword }),
    ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  });
}

function cluster({
  address,
  manners,
}: {
  readonly address: Extract<RedisAddress, { readonly kind: 'cluster' }>;
  readonly manners: ConnectionManners;
}): Cluster {
  return new Cluster(
    address.nodes.map(({ host, port }) => ({ host, port })),
    {
      redisOptions: { ...commonOf(manners), ...accessOf(address) },
      slotsRefreshTimeout: SLOTS_TIMEOUT_MS,
      clusterRetryStrategy: (times) => (manners.reconnects ? Math.min(times * 100, RECONNECT_MAX_MS) : null),
      // A certificate is of a name: looked up beforehand, the name would be lost.
      ...(address.tls ? { dnsLookup: (host, found) => found(null, host) } : {}),
    },
  );
}

function accessOf({ username, password, tls }: Extract<RedisAddress, { readonly tls: boolean }>) {
  return {
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(tls ? { tls: {} } : {}),
  };
}

/** Waits until commands can be sent; false when the time is over, or when the connection has ended for good. */
export async function becomesUsable({
  client,
  withinMs,
}: {
  readonly client: RedisClient;
  readonly withinMs: number;
}): Promise<boolean> {
  if (isUsable(client)) return true;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const ready = () => resolve(true);
  const ended = () => resolve(false);
  const timer = setTimeout(ended, withinMs);
  client.once('ready', ready).once('end', ended);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    client.off('ready', ready).off('end', ended);
  }
}
