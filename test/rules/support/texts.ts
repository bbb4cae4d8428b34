import type { File } from './files.ts';

/** Folders that exist on one person's machine; a project that names them works nowhere else. */
const MACHINE_FOLDERS = ['home', 'Users', 'root', 'work', 'workspace', 'workspaces', 'mnt', 'tmp'];
const MACHINE_PATH = new RegExp(String.raw`(?<![\w./:$}])/(?:${MACHINE_FOLDERS.join('|')})/[\w.-]+|\b[A-Z]:\\Users\\`);

export function machinePaths(files: readonly File[]): readonly string[] {
  return offendingLines(files, MACHINE_PATH);
}

/** Download addresses in a lockfile bind everybody to the registry of whoever wrote it. */
export function lockedAddresses(file: File): readonly string[] {
  return offendingLines([file], /"resolved":\s*"[a-z+]+:/);
}

/** Versions that may be another one tomorrow. */
export function unpinned(versions: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(versions)
    .filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))
    .map(([name, version]) => `${name}: ${version}`);
}

/** What a stranger types first, and nothing else. */
const COMMANDS = ['npm ci && npm run demo', 'npm ci && npm test'];

export function missingCommands(readme: string): readonly string[] {
  return COMMANDS.filter((command) => !readme.includes(command));
}

/** `npm run x` that nobody could run. */
export function unknownScripts({
  files,
  scripts,
}: {
  readonly files: readonly File[];
  readonly scripts: ReadonlySet<string>;
}): readonly string[] {
  return files.flatMap(({ path, text }) =>
    [...text.matchAll(/\bnpm run ([\w:-]+)/g)]
      .filter(([, name = '']) => !scripts.has(name))
      .map(([command]) => `${path}: ${command}`),
  );
}

function offendingLines(files: readonly File[], pattern: RegExp): readonly string[] {
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}
