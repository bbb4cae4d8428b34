import { Readable } from 'node:stream';
import { codeOf } from '../../core/errors.ts';
import type { Log } from '../../core/ports/telemetry.ts';

const limits = {
  /** Small resources leave together: one write per resource would spend most of its time in the socket. */
  chunkBytes: 64 * 1024,
} as const;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;

/**
 * One resource a line. The stream asks for the next resource only when the reader has taken the last ones, and ends the source when
 * the reader leaves. A failure after the first byte cuts the connection, so that a short body is never taken for a whole one.
 * Rejects when the very first resource cannot be had, while an error can still be answered.
 */
export async function toNdjson({
  resources,
  log,
}: {
  readonly resources: AsyncIterable<Uint8Array>;
  readonly log: Log;
}): Promise<Readable> {
  const source = resources[Symbol.asyncIterator]();
  const first = await source.next();
  return Readable.from(linesOf({ source, first, log }), { objectMode: false, highWaterMark: limits.chunkBytes });
}

async function* linesOf({
  source,
  first,
  log,
}: {
  readonly source: AsyncIterator<Uint8Array>;
  readonly first: IteratorResult<Uint8Array>;
  readonly log: Log;
}): AsyncGenerator<Buffer> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  try {
    for (let turn = first; turn.done !== true; turn = await source.next()) {
      const line = asLine(turn.value);
      held.push(line);
      heldBytes += line.byteLength;
      if (heldBytes < limits.chunkBytes) continue;
      yield Buffer.concat(held, heldBytes);
      held = [];
      heldBytes = 0;
    }
    if (heldBytes > 0) yield Buffer.concat(held, heldBytes);
  } catch (error) {
    log.error('records_cut_short', { code: codeOf(error) });
    throw error;
  } finally {
    await source.return?.();
  }
}

/** A raw line break in JSON can only be white space between tokens, so a space in its place changes nothing. */
function asLine(resource: Uint8Array): Uint8Array {
  const line = new Uint8Array(resource.byteLength + 1);
  line.set(resource);
  replaceAll(line, LINE_FEED);
  replaceAll(line, CARRIAGE_RETURN);
  line[resource.byteLength] = LINE_FEED;
  return line;
}

function replaceAll(line: Uint8Array, byte: number): void {
  for (let at = line.indexOf(byte); at !== -1; at = line.indexOf(byte, at + 1)) line[at] = SPACE;
}
