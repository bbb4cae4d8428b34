import { PGlite } from '@electric-sql/pglite';
import { Client } from 'pg';

const TABLE = 'resources';
const CREATE = `create table if not exists ${TABLE} (type text, id text, body jsonb not null, primary key (type, id))`;
const INSERT =
  `insert into ${TABLE} (type, id, body) values ($1, $2, $3)` +
  ' on conflict (type, id) do update set body = excluded.body';
type ScriptPage = {
  readonly entry: readonly { readonly resource: { readonly resourceType: string; readonly id: string } }[];
};

/** What one would write by hand: fetch a page, parse it, and insert each of its resources as jsonb. */
export type Script = {
  /** Pulls these pages into an empty table, each insert a transaction of its own as `pg` does by itself, or all of them in one. */
  readonly pull: (value: { readonly urls: readonly string[]; readonly inOne: boolean }) => Promise<void>;
  readonly close: () => Promise<void>;
};

type Run = (statement: string, values?: readonly string[]) => Promise<void>;

/** Opens it on a database of a server, or on an embedded one in a folder where there is no server. */
export async function openScript({
  databaseUrl,
  folder,
}: {
  readonly databaseUrl: string | null;
  readonly folder: string;
}): Promise<Script> {
  const { run, close } = databaseUrl === null ? await openEmbedded(folder) : await openClient(databaseUrl);
  await run(CREATE);
  return {
    close,
    pull: async ({ urls, inOne }) => {
      await run(`truncate ${TABLE}`);
      if (inOne) await run('begin');
      for (const url of urls) {
        const response = await fetch(url);
        const page: unknown = JSON.parse(await response.text());
        if (!isPage(page)) throw new Error('not a page');
        for (const { resource } of page.entry) {
          await run(INSERT, [resource.resourceType, resource.id, JSON.stringify(resource)]);
        }
      }
      if (inOne) await run('commit');
    },
  };
}

/** A script by hand would look no closer; a schema over all of the page would be work that it does not do. */
function isPage(page: unknown): page is ScriptPage {
  return typeof page === 'object' && page !== null && 'entry' in page && Array.isArray(page.entry);
}

async function openClient(databaseUrl: string): Promise<{ readonly run: Run; readonly close: () => Promise<void> }> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const run: Run = async (statement, values = []) => void (await client.query(statement, [...values]));
  return { run, close: () => client.end() };
}

async function openEmbedded(folder: string): Promise<{ readonly run: Run; readonly close: () => Promise<void> }> {
  const database = await PGlite.create(folder);
  const run: Run = async (statement, values = []) => void (await database.query(statement, [...values]));
  return { run, close: () => database.close() };
}
