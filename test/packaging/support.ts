import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ROOT } from '../rules/support/files.ts';

const OUTPUT_MAX_BYTES = 16 * 1_024 * 1_024;

export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs a program to its end. Its PATH begins with the Node that runs the tests, whatever the host has. */
export function run({
  command,
  cwd,
  env = {},
  timeoutMs,
}: {
  readonly command: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}): Promise<Ran> {
  const [program, ...args] = command;
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const options = { cwd, env: { ...environment(), ...env }, timeout: timeoutMs, maxBuffer: OUTPUT_MAX_BYTES };
  execFile(program, args, options, (error, stdout, stderr) => {
    const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
    resolve({ code, stdout, stderr });
  });
  return promise;
}

/** What npm, tsc and our own command need to run; nothing of what the tests themselves were started with. */
export function environment(): Record<string, string> {
  const { PATH = '', HOME = '' } = process.env;
  const npm = Object.entries(process.env).flatMap(([name, value]) =>
    value !== undefined &&
    /^(?:npm_config_(?:cache|registry|cafile)|NODE_EXTRA_CA_CERTS|https?_proxy|no_proxy)$/i.test(name)
      ? [[name, value] as const]
      : [],
  );
  return { ...Object.fromEntries(npm), PATH: `${dirname(process.execPath)}${delimiter}${PATH}`, HOME };
}

/** A folder with copies of some of the project's files, and, if asked for, a link to what is installed. */
export async function copyProject({
  parts,
  linkModules,
}: {
  readonly parts: readonly string[];
  readonly linkModules: boolean;
}): Promise<{ readonly path: string; readonly remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'perennial-packaging-'));
  for (const part of parts) await cp(join(ROOT, part), join(path, part), { recursive: true });
  if (linkModules) await symlink(join(ROOT, 'node_modules'), join(path, 'node_modules'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
