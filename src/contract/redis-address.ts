/** One Redis server by host and port. */
export type RedisNode = { readonly host: string; readonly port: number };

type Access = {
  readonly username: string | null;
  readonly password: string | null;
  readonly tls: boolean;
};

/** Where Redis is: one server, the master that Sentinels name, or a Cluster. */
export type RedisAddress =
  | { readonly kind: 'single'; readonly url: string }
  | (Access & {
      readonly kind: 'sentinel';
      readonly nodes: readonly RedisNode[];
      readonly master: string;
      readonly db: number;
      /** The Sentinels' own, where they have one. */
      readonly sentinelPassword: string | null;
    })
  | (Access & { readonly kind: 'cluster'; readonly nodes: readonly RedisNode[] });

/** The forms that {@link parseRedisUrl} takes, for messages. */
export const REDIS_URL_FORMS =
  'redis(s)://[user:password@]host[:port][/db], redis(s)+sentinel://[user:password@]host[:port],.../master[/db] or redis(s)+cluster://[user:password@]host[:port],...';

const DEFAULT_PORT = { cluster: 6_379, sentinel: 26_379 } as const;
const NODES_MAX = 64;
const DB_MAX = 1_023;

const SINGLE = /^rediss?:$/;
const MANY =
  /^(rediss?)\+(sentinel|cluster):\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/([^?#]*))?(?:\?sentinelPassword=([^&#]+))?$/;
const NODE = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/;

/**
 * Reads the URL of a Redis; null for one that is none of {@link REDIS_URL_FORMS}. It never throws, and says nothing of the value: there is a password in it.
 * A Sentinel's own password follows as `?sentinelPassword=...`.
 */
export function parseRedisUrl(text: string): RedisAddress | null {
  if (URL.canParse(text) && SINGLE.test(new URL(text).protocol)) {
    return new URL(text).hostname === '' || text.includes(',') ? null : { kind: 'single', url: text };
  }
  const [, scheme, kind, credentials, hosts, path, sentinelPassword] = MANY.exec(text) ?? [];
  const access = accessOf({ scheme, credentials });
  if (access === null || hosts === undefined) return null;
  if (kind === 'cluster') {
    const nodes = nodesOf({ hosts, defaultPort: DEFAULT_PORT.cluster });
    // A Cluster has one database.
    const pathless = (path === undefined || path === '' || path === '0') && sentinelPassword === undefined;
    return nodes === null || !pathless ? null : { kind, nodes, ...access };
  }
  const nodes = nodesOf({ hosts, defaultPort: DEFAULT_PORT.sentinel });
  const [, master, db = '0'] = /^([A-Za-z0-9._-]+)(?:\/(\d{1,4}))?$/.exec(path ?? '') ?? [];
  const own = decoded(sentinelPassword);
  if (nodes === null || master === undefined || Number(db) > DB_MAX || own === undefined) return null;
  return { kind: 'sentinel', nodes, master, db: Number(db), sentinelPassword: own, ...access };
}

function accessOf({
  scheme,
  credentials,
}: {
  readonly scheme: string | undefined;
  readonly credentials: string | undefined;
}): Access | null {
  if (scheme === undefined) return null;
  const [, user, secret] = /^([^:]*)(?::(.*))?$/.exec(credentials ?? '') ?? [];
  const [username, password] = [decoded(user), decoded(secret)];
  if (username === undefined || password === undefined) return null;
  return { username, password, tls: scheme === 'rediss' };
}

/** Null for nothing, undefined for what cannot be decoded. */
function decoded(text: string | undefined): string | null | undefined {
  if (text === undefined || text === '') return null;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function nodesOf({
  hosts,
  defaultPort,
}: {
  readonly hosts: string;
  readonly defaultPort: number;
}): readonly RedisNode[] | null {
  const nodes: RedisNode[] = [];
  for (const text of hosts.split(',')) {
    const [, host, port = String(defaultPort)] = NODE.exec(text) ?? [];
    if (host === undefined || Number(port) < 1 || Number(port) > 65_535) return null;
    nodes.push({ host: host.replace(/^\[|\]$/g, ''), port: Number(port) });
  }
  return nodes.length > NODES_MAX ? null : nodes;
}
