import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleOf } from './fhir-server.ts';

const FOLDER = fileURLToPath(new URL('../../../../shared/data/', import.meta.url));

/** What a suite is called that does not run because the examples are not there: nobody should take its silence for a pass. */
export const NO_SHARED_DATA = 'SKIPPED: NO EXAMPLES BY OTHERS BESIDE THE PROJECT';

/** A FHIR example that somebody else has written, as it is. */
export type Example = { readonly name: string; readonly bytes: Uint8Array };

/** All examples that lie beside the project, by name; null where there are none, which is said aloud. They are never part of the project. */
export function sharedData(): readonly Example[] | null {
  if (!existsSync(FOLDER)) {
    process.stdout.write(`\n${NO_SHARED_DATA}\n`);
    return null;
  }
  return readdirSync(FOLDER, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ name: relative(FOLDER, path).split(sep).join('/'), bytes: readFileSync(path) }));
}

/** A bundle is served as it is, a bare resource as the only entry of a page; its bytes are left alone. */
export function pageOf({ bytes }: Example): Uint8Array {
  if (/^\uFEFF?\s*\{\s*"resourceType"\s*:\s*"Bundle"/.test(new TextDecoder().decode(bytes))) return bytes;
  const [head = '', tail = ''] = bundleOf({ resources: ['|'] }).split('|');
  return Buffer.concat([Buffer.from(head), bytes, Buffer.from(tail)]);
}
