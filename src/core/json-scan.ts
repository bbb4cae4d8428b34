import {
  byteAt,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  faultAt,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  skipBlank,
  skipScalar,
  skipString,
} from './json-token.ts';

/*
 * Values of JSON over bytes: `skipValue` passes over one, `walkObject` and `walkArray` let a visitor read the members of one.
 * A visitor gets the place of a value and returns the place after it, so every byte is looked at once. For single resources,
 * where all their values are wanted; pages are for json-scanner.ts, which is three times as fast.
 */

/** More than {@link NESTING_MAX} objects and arrays inside one another. */
const TOO_DEEP = -3;

/** Objects and arrays open at one place. FHIR's own deepest (items, extensions on extensions) stay under 50. */
export const NESTING_MAX = 512;

/** Scratch of `skipValue`, which calls nobody who could call it again: is the container opened at that depth in an object? */
const outerIsObject = new Uint8Array(NESTING_MAX);

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
