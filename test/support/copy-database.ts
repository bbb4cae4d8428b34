import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const runs = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

export const canCopyDatabases = runs('pg_dump') && runs('psql');

/** Dumps a database into a file, as a backup does. */
export async function dumpDatabase({
  databaseUrl,
  file,
}: {
  readonly databaseUrl: string;
  readonly file: string;
}): Promise<void> {
  await run('pg_dump', ['--no-owner', `--file=${file}`, databaseUrl]);
}

/** Loads a dump into an empty database; fails on the first statement that does. */
export async function loadDatabase({
  databaseUrl,
  file,
}: {
  readonly databaseUrl: string;
  readonly file: string;
}): Promise<void> {
  await run('psql', ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', `--file=${file}`, databaseUrl]);
}
