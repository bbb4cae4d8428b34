import { Readable } from 'node:stream';
import type { RecordsRead, StoredResource } from '../../contract/records.ts';
import { codeOf } from '../../core/errors.ts';
import type { Log } from '../../core/ports/telemetry.ts';
import type { Framing } from './record-framings.ts';

const limits = {
  /** Small resources leave together: one write per resource would spend most of its time in the socket. */
  chunkBytes: 64 * 1024,
} as const;

/**
 * The resources as a body, framed. The stream asks for the next resource only when the reader has taken the last ones, and ends the source when
 * the reader leaves. A failure after the first byte cuts the connection, so that a short body is never taken for a whole one.
 * Rejects when the very first resource cannot be had, while an error can still be answered.
 */
export async function toBody({
  records,
  framing,
  log,
}: {
  readonly records: RecordsRead;
  readonly framing: Framing;
  readonly log: Log;
}): Promise<Readable> {
  const source = records.resources[Symbol.asyncIterator]();
  const first = await source.next();
  const parts = partsOf({ source, first, framing, fhirBaseUrl: records.fhirBaseUrl });
  return Readable.from(chunksOf({ parts, log }), { objectMode: false, highWaterMark: limits.chunkBytes });
}

async function* partsOf({
  source,
  first,
  framing: { whole, frame },
  fhirBaseUrl,
}: {
  readonly source: AsyncIterator<StoredResource>;
  readonly first: IteratorResult<StoredResource>;
  readonly framing: Framing;
  readonly fhirBaseUrl: string | null;
}): AsyncGenerator<Uint8Array> {
  try {
    const { head, between, tail } = whole({ isEmpty: first.done === true });
    yield head;
    for (let turn = first; turn.done !== true; turn = await source.next()) {
      if (turn !== first) yield between;
      yield* frame({ resource: turn.value, fhirBaseUrl });
    }
    yield tail;
  } finally {
    await source.return?.();
  }
}

async function* chunksOf({
  parts,
  log,
}: {
  readonly parts: AsyncIterable<Uint8Array>;
  readonly log: Log;
}): AsyncGenerator<Buffer> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  try {
    for await (const part of parts) {
      held.push(part);
      heldBytes += part.byteLength;
      if (heldBytes < limits.chunkBytes) continue;
      yield Buffer.concat(held, heldBytes);
      held = [];
      heldBytes = 0;
    }
    if (heldBytes > 0) yield Buffer.concat(held, heldBytes);
  } catch (error) {
    log.error('records_cut_short', { code: codeOf(error) });
    throw error;
  }
}
