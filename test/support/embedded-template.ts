import { cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';
import { z } from 'zod';

const CACHE = new URL('../../node_modules/.cache/', import.meta.url);
const PGLITE = new URL('../../node_modules/@electric-sql/pglite/package.json', import.meta.url);

/**
 * Puts empty databases where an embedded system makes its own: an `initdb` takes 8 s of processor time on a slow core, a copy 0.1 s, and a whole run has some
 * thirty. Tests of the first start, and the demo, let the system make them.
 */
export async function layEmptyDatabases(
  dataDir: string,
  names: readonly ('store' | 'queue')[] = ['store', 'queue'],
): Promise<void> {
  const template = await templateOf();
  for (const name of names) await cp(template, join(dataDir, name), { recursive: true });
}

/** Made by the first who needs it; of two who make it at once, one is kept. */
async function templateOf(): Promise<string> {
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(await readFile(PGLITE, 'utf8')));
  const template = fileURLToPath(new URL(`pglite-${version}`, CACHE));
  if (await isThere(template)) return template;
  await mkdir(dirname(template), { recursive: true });
  const draft = await mkdtemp(`${template}.`);
  const database = await PGlite.create(draft);
  await database.close();
  await rename(draft, template).catch(() => rm(draft, { recursive: true, force: true }));
  return template;
}

async function isThere(folder: string): Promise<boolean> {
  return (await readFile(join(folder, 'PG_VERSION'), 'utf8').catch(() => '')) !== '';
}
