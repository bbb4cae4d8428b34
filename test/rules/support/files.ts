import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A file as the rules see it: its path from the root of the project, with `/`, and its text. */
export type File = { readonly path: string; readonly text: string };

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** What git does not keep either. */
const NOT_OURS: ReadonlySet<string> = new Set(['.git', 'node_modules', 'dist', 'data', 'coverage', '.env']);
const BINARY = /\.(?:png|jpg|gif|ico|webp|gz|zst|tgz)$/;

/** Every text file of the project, or of some of its folders and files. */
export function readProject(parts: readonly string[] = ['.']): readonly File[] {
  return parts.flatMap((part) => pathsUnder(join(ROOT, part))).map((path) => readFile(path));
}

export function readFile(path: string): File {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') };
}

/** Another language with a compiler of its own: AssemblyScript, of which only what it compiles to is part of the program. */
const isAssemblyScript = ({ path }: File): boolean => path.startsWith('src/wasm/');

export const readSources = (): readonly File[] =>
  readProject(['src', 'jobs']).filter((file) => !isAssemblyScript(file));

export const readTests = (): readonly File[] => readProject(['test']).filter(({ path }) => path.endsWith('.test.ts'));

function pathsUnder(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name) || entry.name.endsWith('.log') || BINARY.test(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return pathsUnder(path);
    return entry.isFile() ? [relative(ROOT, path).split(sep).join('/')] : [];
  });
}
