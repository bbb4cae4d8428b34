import { BACKSLASH, byteAt, QUOTE } from './json-token.ts';

/*
 * Keys and strings of JSON that has been scanned, read from their bytes.
 */

/** Kept, since making one costs more than decoding an id; it keeps no state between calls. A BOM inside a page is content. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Which of the (ASCII) `names` the scanned key spells, escapes resolved. Most keys are none of them and differ in their
 * first byte; a key that is longer than a name can only spell it with escapes.
 */
export function nameOf(bytes: Uint8Array, keyAt: number, keyEnd: number, names: readonly string[]): string | undefined {
  const length = keyEnd - keyAt - 2;
  const first = byteAt(bytes, keyAt + 1);
  for (const name of names) {
    if (first !== name.charCodeAt(0) && first !== BACKSLASH) continue;
    if (length === name.length && spells(bytes, keyAt + 1, name)) return name;
    if (length > name.length && hasEscape(bytes, keyAt, keyEnd) && textAt(bytes, keyAt, keyEnd) === name) return name;
  }
  return undefined;
}

function hasEscape(bytes: Uint8Array, at: number, end: number): boolean {
  for (let i = at; i < end; i += 1) if (bytes[i] === BACKSLASH) return true;
  return false;
}

/** Plain ASCII only: the bytes of `é` are also those of the text `Ã©`, and `\b` may be an escape or two characters. */
function spells(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const byte = bytes[at + i] ?? 0;
    if (byte !== text.charCodeAt(i) || byte >= 0x80 || byte === BACKSLASH) return false;
  }
  return true;
}

/** The text of the scanned string `[at, end)`, escapes resolved; undefined for a scanned value of another kind. */
export function textAt(bytes: Uint8Array, at: number, end: number, guess?: string): string | undefined {
  if (byteAt(bytes, at) !== QUOTE) return undefined;
  if (guess !== undefined && guess.length === end - at - 2 && spells(bytes, at + 1, guess)) return guess;
  const written = literalAt(bytes, at + 1, end - 1);
  if (!written.includes('\\')) return written;
  const text: unknown = JSON.parse(`"${written}"`);
  return typeof text === 'string' ? text : undefined;
}

/** The bytes `[at, end)` as they were written. Throws a TypeError where they are not UTF-8, which scanned bytes always are. */
export function literalAt(bytes: Uint8Array, at: number, end: number): string {
  return utf8.decode(bytes.subarray(at, end));
}
