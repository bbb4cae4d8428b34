import type { File } from './files.ts';
import { type Import, importsOf } from './imports.ts';

/** What a room may import: its own files and these, and which packages (`node:` modules are packages too). */
type Door = { readonly paths: readonly RegExp[]; readonly packages: readonly string[] | 'any' };

const CORE = /^src\/core\//;
const CONTRACT = /^src\/contract\//;
const FLOWS = /^src\/flows\//;
const INTAKE = /^src\/adapters\/intake\//;
/** Worker and clients reach the same kinds of Redis in the same way. */
const REDIS = /^src\/adapters\/queue\/redis-connect\.ts$/;

const DOORS: Readonly<Record<string, Door>> = {
  core: { paths: [], packages: [] },
  contract: { paths: [CORE], packages: ['zod'] },
  flows: { paths: [CORE, CONTRACT], packages: [] },
  jobs: { paths: [FLOWS, CORE, CONTRACT], packages: ['zod'] },
  adapters: { paths: [CORE, CONTRACT], packages: 'any' },
  client: { paths: [CORE, CONTRACT, INTAKE, REDIS], packages: 'any' },
  sandbox: { paths: [/^src\/core\/clock\.ts$/], packages: 'any' },
  config: { paths: [CORE, CONTRACT], packages: ['zod', 'node:fs'] },
  main: { paths: [/^(?:src|jobs)\//], packages: 'any' },
};

/** `src/adapters/web/auth.ts` -> adapters/web: each adapter is a room of its own. */
function roomOf(path: string): string | null {
  const [, adapter] = /^src\/(adapters\/[^/]+)\//.exec(path) ?? [];
  if (adapter !== undefined) return adapter;
  const [, room] = /^src\/(core|contract|flows|client|sandbox|main)(?:\/.+)?\.ts$/.exec(path) ?? [];
  if (room !== undefined) return room;
  if (path === 'src/config.ts') return 'config';
  return /^jobs\/[^/]+\.ts$/.test(path) ? 'jobs' : null;
}

const doorOf = (room: string): Door | undefined => DOORS[room.startsWith('adapters/') ? 'adapters' : room];

/** Imports that go where the house has no door, files in no room, and imports of files that are not there. */
export function wrongArrows(files: readonly File[]): readonly string[] {
  const paths = new Set(files.map(({ path }) => path));
  return files.flatMap((file) => {
    const room = roomOf(file.path);
    const door = room === null ? undefined : doorOf(room);
    if (room === null || door === undefined) return [`${file.path}: lies in no room of the house`];
    return importsOf(file).flatMap((one) => {
      const fault = faultOf({ one, room, door, paths });
      return fault === null ? [] : [`${one.place}: ${room} ${fault}`];
    });
  });
}

function faultOf({
  one: { target, kind },
  room,
  door,
  paths,
}: {
  readonly one: Import;
  readonly room: string;
  readonly door: Door;
  readonly paths: ReadonlySet<string>;
}): string | null {
  if (target === null) return 'imports what only running it would tell';
  if (kind === 'package') {
    return door.packages === 'any' || door.packages.includes(target) ? null : `imports the package ${target}`;
  }
  if (!paths.has(target)) return `imports ${target}, which is not there`;
  const open = roomOf(target) === room || door.paths.some((path) => path.test(target));
  return open ? null : `imports ${target}`;
}

/** Circles of imports, each once, as `a -> b -> a`. Type imports count: they are as hard to take apart. */
export function importCircles(files: readonly File[]): readonly string[] {
  const next = new Map(
    files.map((file) => [
      file.path,
      importsOf(file).flatMap(({ target, kind }) => (kind === 'file' && target !== null ? [target] : [])),
    ]),
  );
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) circles.push([...trail.slice(start), path].join(' -> '));
    if (start >= 0 || done.has(path)) return;
    for (const target of next.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of next.keys()) visit(path, []);
  return circles;
}

/** Packages that files import and package.json does not give to whoever installs us. */
export function undeclaredPackages({
  files,
  dependencies,
}: {
  readonly files: readonly File[];
  readonly dependencies: ReadonlySet<string>;
}): readonly string[] {
  return files
    .flatMap((file) => importsOf(file))
    .filter(
      ({ kind, target }) =>
        kind === 'package' && target !== null && !target.startsWith('node:') && !dependencies.has(target),
    )
    .map(({ place, target }) => `${place}: ${target}`);
}
