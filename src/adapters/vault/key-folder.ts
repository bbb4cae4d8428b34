import { readdir, rename } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { PerennialError } from '../../core/errors.ts';
import { hasCode, makeFolder, syncFolder, translated, unlessMissing } from './disk.ts';

const FOLDER = /^[0-9a-f]{2}$/;
const KEY_FILE = /^[0-9a-f]{64}\.key$/;

/** The folders of a key folder that hold keys, and the key files of one of them, each in their order. */
export function keyFolders(directory: string): Promise<readonly string[]> {
  return namesIn({ folder: directory, pattern: FOLDER });
}
export function keyFilesIn(folder: string): Promise<readonly string[]> {
  return namesIn({ folder, pattern: KEY_FILE });
}

/**
 * Moves the key files once from where they lay before they had a folder apart. Of several processes that start at once, one does it.
 * @throws PerennialError `config_invalid` naming KEYS_DIR where both folders hold keys, or where they lie on two file systems.
 */
export function moveKeyFolder({ from, to }: { readonly from: string; readonly to: string }): Promise<void> {
  return translated(async () => {
    if (relative(from, to) === '' || !(await holdsKeys(from))) return;
    if ((await holdsKeys(to)) && (await holdsKeys(from))) {
      throw invalid('and the folder keys under DATA_DIR both hold data keys: one of them has to go');
    }
    await makeFolder(dirname(to));
    try {
      await rename(from, to);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return;
      if (!hasCode(error, 'EXDEV', 'EBUSY', 'ENOTEMPTY', 'EEXIST', 'EACCES', 'EPERM')) throw error;
      throw invalid(
        'is not where the data keys are, and they cannot be moved from the folder keys under DATA_DIR: move them by hand',
      );
    }
    await syncFolder(dirname(to));
    await syncFolder(dirname(from));
  });
}

async function holdsKeys(directory: string): Promise<boolean> {
  for (const folder of await keyFolders(directory)) {
    if ((await keyFilesIn(join(directory, folder))).length > 0) return true;
  }
  return false;
}

async function namesIn({
  folder,
  pattern,
}: {
  readonly folder: string;
  readonly pattern: RegExp;
}): Promise<readonly string[]> {
  const names = (await unlessMissing(readdir(folder))) ?? [];
  return names.filter((name) => pattern.test(name)).sort();
}

function invalid(what: string): PerennialError {
  return new PerennialError('config_invalid', { field: `KEYS_DIR ${what}` });
}
