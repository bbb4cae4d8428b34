import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the file store keeps the key of an authorization. */
export function fileOf(directory: string, authorizationId: string): string {
  const name = createHash('sha256').update(authorizationId).digest('hex');
  return join(directory, name.slice(0, 2), `${name}.key`);
}

/** All bytes that lie in a folder and below. */
export async function bytesIn(directory: string): Promise<Buffer> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Buffer.concat(await Promise.all(files.map((file) => readFile(file))));
}
