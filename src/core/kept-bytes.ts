/*
 * The bytes of a stream that somebody still needs: the chunk at hand and, where something began in an earlier chunk, all from
 * there on. Places count from the start of the stream.
 */

/** What is kept; `origin` is the place of the first byte of the buffer. The spare buffer takes turns with one that is lent. */
export type KeptBytes = {
  chunk: Uint8Array;
  chunkOrigin: number;
  buffer: Uint8Array;
  spare: Uint8Array;
  origin: number;
  length: number;
  isLent: boolean;
};

/** Where bytes lie: `[start, end)` of an array that holds more. */
export type Span = { readonly bytes: Uint8Array; readonly start: number; readonly end: number };

/** An empty buffer begins this large; most of what lies across two chunks is one resource of some kB. */
const BUFFER_MIN_BYTES = 8_192;
/** A buffer larger than this has held an attachment, and is dropped after use: it would lie there as long as the page takes. */
const BUFFER_KEPT_BYTES = 1_048_576;

const NONE = new Uint8Array();

/** Nothing kept, at the start of a stream. */
export function nothingKept(): KeptBytes {
  return { chunk: NONE, chunkOrigin: 0, buffer: NONE, spare: NONE, origin: 0, length: 0, isLent: false };
}

/** Takes the next chunk of the stream; it is used until `letGo`. What was lent before is back. */
export function takeChunk(kept: KeptBytes, chunk: Uint8Array): void {
  // A Buffer's `subarray` takes three times as long, and is called for each resource.
  kept.chunk = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
  if (kept.spare.length > BUFFER_KEPT_BYTES) kept.spare = NONE;
}

/** Where the bytes `[from, to)` of the stream lie: in the chunk, where they are not copied, or in the buffer. */
export function spanOf(kept: KeptBytes, from: number, to: number): Span {
  if (from >= kept.chunkOrigin)
    return { bytes: kept.chunk, start: from - kept.chunkOrigin, end: to - kept.chunkOrigin };
  keepUntil(kept, to);
  return { bytes: kept.buffer, start: from - kept.origin, end: to - kept.origin };
}

/** The same, to be handed to a caller: the bytes stay as they are until the next chunk is taken. */
export function lend(kept: KeptBytes, from: number, to: number): Uint8Array {
  const { bytes, start, end } = spanOf(kept, from, to);
  if (bytes === kept.buffer) kept.isLent = true;
  return bytes.subarray(start, end);
}

/** Ends the use of the chunk: what lies from `from` on is copied, the rest may be forgotten. */
export function letGo(kept: KeptBytes, from: number): void {
  const end = kept.chunkOrigin + kept.chunk.length;
  if (from >= kept.chunkOrigin) {
    if (kept.isLent) [kept.buffer, kept.spare] = [kept.spare, kept.buffer];
    if (kept.buffer.length > BUFFER_KEPT_BYTES) kept.buffer = NONE;
    kept.isLent = false;
    kept.origin = Math.min(from, end);
    kept.length = 0;
  }
  keepUntil(kept, end);
  kept.chunkOrigin = end;
  kept.chunk = NONE;
}

/** Copies from the chunk what the buffer lacks up to `to`. */
function keepUntil(kept: KeptBytes, to: number): void {
  const from = kept.origin + kept.length;
  if (to <= from) return;
  const length = to - kept.origin;
  if (length > kept.buffer.length) {
    // Twice as large each time, so that an attachment of 30 MB in small chunks is copied twice, not a thousand times.
    const larger = new Uint8Array(Math.max(BUFFER_MIN_BYTES, length, 2 * kept.buffer.length));
    larger.set(kept.buffer.subarray(0, kept.length));
    kept.buffer = larger;
  }
  kept.buffer.set(kept.chunk.subarray(from - kept.chunkOrigin, to - kept.chunkOrigin), kept.length);
  kept.length = length;
}
