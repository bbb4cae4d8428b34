import { createReadStream } from 'node:fs';
import { LIMITS } from '../core/limits.ts';

/** The command was called wrongly; the message is for the person who typed it. */
export class UsageError extends Error {}

/**
 * The JSON of a file, or of `stdin` for `-`, bounded by LIMITS.requestMaxBytes.
 * @throws UsageError naming the file: it cannot be read, is too large, or is not JSON.
 */
export async function readJson({
  file,
  stdin,
}: {
  readonly file: string;
  readonly stdin: AsyncIterable<unknown>;
}): Promise<unknown> {
  const name = file === '-' ? 'standard input' : file;
  const bytes = await readBounded({ name, source: file === '-' ? stdin : createReadStream(file) });
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new UsageError(`${name} is not JSON`);
  }
}

async function readBounded({
  name,
  source,
}: {
  readonly name: string;
  readonly source: AsyncIterable<unknown>;
}): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of source) {
      const part = chunk instanceof Uint8Array ? Buffer.from(chunk) : Buffer.from(String(chunk));
      bytes += part.byteLength;
      if (bytes > LIMITS.requestMaxBytes)
        throw new UsageError(`${name} is larger than ${LIMITS.requestMaxBytes} bytes`);
      chunks.push(part);
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${name} cannot be read`);
  }
  return Buffer.concat(chunks, bytes);
}
