import { BACKSLASH, byteAt, faultAt, QUOTE, skipBlank, skipScalar, skipString } from './json-token.ts';

/*
 * Values of JSON over bytes: `skipValue` passes over one, `walkObject` and `walkArray` let a visitor read the members of one.
 * A visitor gets the place of a value and returns the place after it, so every byte is looked at once. A reader of a stream
 * can take ENDED as "stop here, go on from the last place you had reached when more bytes are there".
 */

/** More than {@link NESTING_MAX} objects and arrays inside one another. */
export const TOO_DEEP = -3;

/** Objects and arrays open at one place. FHIR's own deepest (items, extensions on extensions) stay under 50. */
export const NESTING_MAX = 512;

export const OPEN_OBJECT = 0x7b;
export const OPEN_ARRAY = 0x5b;
const CLOSE_OBJECT = 0x7d;
const CLOSE_ARRAY = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

/** Scratch of `skipValue`, which calls nobody who could call it again: is the container opened at that depth in an object? */
const outerIsObject = new Uint8Array(NESTING_MAX);
/** Kept, since making one costs more than decoding an id; it keeps no state between calls. A BOM inside a page is content. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Passes over the value at `at`, with `depth` objects and arrays open around it. One loop, not a function per kind of value:
 * seen twice as fast as recursion over a searchset of Synthea resources (Node 26).
 */
export function skipValue(bytes: Uint8Array, at: number, depth: number): number {
  let i = at;
  let open = depth;
  let inObject = false;
  for (;;) {
    const byte = byteAt(bytes, i);
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (open >= NESTING_MAX) return TOO_DEEP;
      outerIsObject[open] = inObject ? 1 : 0;
      open += 1;
      inObject = byte === OPEN_OBJECT;
      i = skipBlank(bytes, i + 1);
      if (byteAt(bytes, i) !== (inObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        if (inObject) i = skipKey(bytes, i);
        if (i < 0) return i;
        continue;
      }
    } else {
      i = byte === QUOTE ? skipString(bytes, i) : skipScalar(bytes, i);
      if (i < 0) return i;
      if (open > depth) i = skipBlank(bytes, i);
    }
    while (open > depth && byteAt(bytes, i) === (inObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
      i += 1;
      open -= 1;
      inObject = outerIsObject[open] === 1;
      if (open > depth) i = skipBlank(bytes, i);
    }
    if (open === depth) return i;
    if (byteAt(bytes, i) !== COMMA) return faultAt(bytes, i);
    i = skipBlank(bytes, i + 1);
    if (inObject) i = skipKey(bytes, i);
    if (i < 0) return i;
  }
}

/** Called for each member with the place of its value and of its key, which lies from its opening quote to `keyEnd`. */
export type OnMember = (at: number, keyAt: number, keyEnd: number) => number;

/** The object that opens at `at`; `onMember` passes over each value. */
export function walkObject(bytes: Uint8Array, at: number, depth: number, onMember: OnMember): number {
  if (depth >= NESTING_MAX) return TOO_DEEP;
  let i = skipBlank(bytes, at + 1);
  if (byteAt(bytes, i) === CLOSE_OBJECT) return i + 1;
  for (;;) {
    const keyAt = i;
    const keyEnd = byteAt(bytes, keyAt) === QUOTE ? skipString(bytes, keyAt) : faultAt(bytes, keyAt);
    i = keyEnd < 0 ? keyEnd : skipColon(bytes, keyEnd);
    if (i >= 0) i = onMember(i, keyAt, keyEnd);
    if (i < 0) return i;
    i = skipBlank(bytes, i);
    const byte = byteAt(bytes, i);
    if (byte === CLOSE_OBJECT) return i + 1;
    if (byte !== COMMA) return faultAt(bytes, i);
    i = skipBlank(bytes, i + 1);
  }
}

/** The array that opens at `at`; `onElement` passes over each element. */
export function walkArray(bytes: Uint8Array, at: number, depth: number, onElement: (at: number) => number): number {
  if (depth >= NESTING_MAX) return TOO_DEEP;
  let i = skipBlank(bytes, at + 1);
  if (byteAt(bytes, i) === CLOSE_ARRAY) return i + 1;
  for (;;) {
    i = onElement(i);
    if (i < 0) return i;
    i = skipBlank(bytes, i);
    const byte = byteAt(bytes, i);
    if (byte === CLOSE_ARRAY) return i + 1;
    if (byte !== COMMA) return faultAt(bytes, i);
    i = skipBlank(bytes, i + 1);
  }
}

function skipKey(bytes: Uint8Array, at: number): number {
  const end = byteAt(bytes, at) === QUOTE ? skipString(bytes, at) : faultAt(bytes, at);
  return end < 0 ? end : skipColon(bytes, end);
}

function skipColon(bytes: Uint8Array, at: number): number {
  // Compact JSON has no blanks here: seen 8 % faster for not looking for them.
  if (byteAt(bytes, at) === COLON && byteAt(bytes, at + 1) > 0x20) return at + 1;
  const i = skipBlank(bytes, at);
  return byteAt(bytes, i) === COLON ? skipBlank(bytes, i + 1) : faultAt(bytes, i);
}

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

/** The strings among an object's own members called one of `names`; the last of duplicate members counts, as in JSON.parse. */
export type Texts = { readonly [name: string]: string | undefined };

/**
 * Passes over the value at `at` and returns the place after it with the texts of its members; a value that is no object has
 * none. `guess` is a text likely to be met, to save decoding it: neighbours in a page are often of one resource type.
 */
export function readTexts(
  bytes: Uint8Array,
  at: number,
  depth: number,
  names: readonly string[],
  guess?: string,
): { readonly end: number; readonly texts: Texts } {
  const texts: Record<string, string | undefined> = {};
  if (byteAt(bytes, at) !== OPEN_OBJECT) return { end: skipValue(bytes, at, depth), texts };
  const end = walkObject(bytes, at, depth, (valueAt, keyAt, keyEnd) => {
    const valueEnd = skipValue(bytes, valueAt, depth + 1);
    const name = valueEnd < 0 ? undefined : nameOf(bytes, keyAt, keyEnd, names);
    if (name !== undefined) texts[name] = textAt(bytes, valueAt, valueEnd, guess);
    return valueEnd;
  });
  return { end, texts };
}

/** The text of the scanned string `[at, end)`, escapes resolved; undefined for a scanned value of another kind. */
export function textAt(bytes: Uint8Array, at: number, end: number, guess?: string): string | undefined {
  if (byteAt(bytes, at) !== QUOTE) return undefined;
  if (guess !== undefined && guess.length === end - at - 2 && spells(bytes, at + 1, guess)) return guess;
  const literal = literalAt(bytes, at, end);
  if (!literal.includes('\\')) return literal.slice(1, -1);
  const text: unknown = JSON.parse(literal);
  return typeof text === 'string' ? text : undefined;
}

/** The bytes `[at, end)` as they were written. Throws a TypeError where they are not UTF-8, which scanned bytes always are. */
export function literalAt(bytes: Uint8Array, at: number, end: number): string {
  return utf8.decode(bytes.subarray(at, end));
}

/** Whether all bytes are UTF-8, by decoding them: for a page that is refused anyway, where the price does not matter. */
export function isUtf8(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
