import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Sql } from './databases.ts';

/** Something that was written somewhere: where, and what. */
export type Trace = { readonly where: string; readonly text: string };

/** The places in which a value stands, as it is or in an encoding that anybody undoes. */
export function findIn({
  traces,
  values,
}: {
  readonly traces: readonly Trace[];
  readonly values: readonly string[];
}): readonly string[] {
  const found = new Set<string>();
  for (const value of values) {
    const bytes = Buffer.from(value, 'utf8');
    const shapes = [
      value,
      bytes.toString('hex'),
      bytes.toString('base64').replace(/=+$/, ''),
      bytes.toString('base64url'),
    ];
    for (const { where, text } of traces) {
      if (shapes.some((shape) => text.includes(shape))) found.add(`${where}: ${value.slice(0, 12)}...`);
    }
  }
  return [...found];
}

/** Every key under a prefix, or of a whole server for an empty one, with all that is in it. */
export async function tracesInRedis({
  url,
  prefix,
}: {
  readonly url: string;
  readonly prefix: string;
}): Promise<readonly Trace[]> {
  const redis = new Redis(url);
  const traces: Trace[] = [];
  try {
    for await (const keys of redis.scanStream({ match: prefix === '' ? '*' : `${prefix}:*`, count: 500 })) {
      if (!Array.isArray(keys)) continue;
      for (const key of keys)
        traces.push({ where: `redis ${key}`, text: `${key} ${JSON.stringify(await contentOf(redis, String(key)))}` });
    }
  } finally {
    redis.disconnect();
  }
  return traces;
}

/** Every row of every table that is not the server's own. */
export async function tracesInPostgres(sql: Sql): Promise<readonly Trace[]> {
  const tables = await sql(
    `select quote_ident(table_schema) || '.' || quote_ident(table_name) as name from information_schema.tables
      where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`,
  );
  const traces: Trace[] = [];
  for (const { name } of tables) {
    const rows = await sql(`select row_text::text as text from ${String(name)} as row_text`);
    for (const { text } of rows) traces.push({ where: `postgres ${String(name)}`, text: String(text) });
  }
  return traces;
}

export async function tracesInFolder(folder: string): Promise<readonly Trace[]> {
  const traces: Trace[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    traces.push({ where: `file ${file}`, text: (await readFile(file)).toString('latin1') });
  }
  return traces;
}

async function contentOf(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'string':
      return redis.get(key);
    case 'hash':
      return redis.hgetall(key);
    case 'list':
      return redis.lrange(key, '0', '-1');
    case 'set':
      return redis.smembers(key);
    case 'zset':
      return redis.zrange(key, '0', '-1');
    case 'stream':
      return redis.xrange(key, '-', '+');
    default:
      return null;
  }
}
