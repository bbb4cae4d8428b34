import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** From src/main and from dist/src/main alike, the package's own file is the first one upwards. */
function readVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const text = readFileSync(new URL(path, import.meta.url), 'utf8');
      const parsed = z.object({ name: z.literal('perennial-worker'), version: z.string() }).safeParse(JSON.parse(text));
      if (parsed.success) return parsed.data.version;
    } catch {
      // The next one up.
    }
  }
  return 'unknown';
}

/** The version of this package. */
export const version = readVersion();
