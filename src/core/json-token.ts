/*
 * The tokens of JSON (RFC 8259) over UTF-8 bytes, recognized strictly and never built. Each function takes the place where a
 * token starts and returns the place after it, or a negative fault.
 *
 * Parameters are positional here, unlike elsewhere: these functions run many times per 100 bytes, and an object per call
 * costs more than the work. No read goes past the end: after a single one V8 keeps a slower kind of load for good (seen:
 * 360 instead of 770 MB/s). UTF-8 is checked on the way: bytes from 0x80 on are legal in strings only, and the table look-up
 * that finds the closing quote finds them too, so a page of plain ASCII pays nothing for the check.
 */

/** The bytes ended inside the value: a stream waits for more; a whole page was cut short. */
const ENDED = -1;
/** Not JSON, or not UTF-8, at some byte. */
const BAD = -2;

export const OPEN_OBJECT = 0x7b;
export const CLOSE_OBJECT = 0x7d;
export const OPEN_ARRAY = 0x5b;
export const CLOSE_ARRAY = 0x5d;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;

const PLAIN = 0;
const CLOSES = 1;
const ESCAPES = 2;
const CONTROL = 3;
const MULTIBYTE = 4;
const STRING_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === QUOTE) return CLOSES;
  if (byte === BACKSLASH) return ESCAPES;
  if (byte < 0x20) return CONTROL;
  return byte < 0x80 ? PLAIN : MULTIBYTE;
});
const IS_BLANK = tableOf(' \t\r\n');
const IS_DIGIT = tableOf('0123456789');
const IS_HEX = tableOf('0123456789abcdefABCDEF');
const IS_ESCAPE = tableOf('"\\/bfnrt');
const LITERALS = ['true', 'false', 'null'].map(asciiOf);

/** The byte at `at`; past the end 0, which no JSON holds. */
export function byteAt(bytes: Uint8Array, at: number): number {
  return at < bytes.length ? (bytes[at] ?? 0) : 0;
}

/** The fault of meeting the wrong byte at `at`. */
export function faultAt(bytes: Uint8Array, at: number): number {
  return at >= bytes.length ? ENDED : BAD;
}

/** The place of the first byte at or after `at` that is not white space. */
export function skipBlank(bytes: Uint8Array, at: number): number {
  const end = bytes.length;
  let i = at;
  while (i < end && IS_BLANK[bytes[i] ?? 0] === 1) i += 1;
  return i;
}

/** A string, number, true, false or null. */
export function skipScalar(bytes: Uint8Array, at: number): number {
  const byte = byteAt(bytes, at);
  if (byte === QUOTE) return skipString(bytes, at);
  if (byte === MINUS || IS_DIGIT[byte] === 1) return skipNumber(bytes, at);
  for (const literal of LITERALS) if (literal[0] === byte) return skipLiteral(bytes, at, literal);
  return faultAt(bytes, at);
}

/** The string whose opening quote is at `at`. */
export function skipString(bytes: Uint8Array, at: number): number {
  const end = bytes.length;
  let i = at + 1;
  while (i < end && STRING_BYTE[bytes[i] ?? 0] === PLAIN) i += 1;
  return byteAt(bytes, i) === QUOTE ? i + 1 : skipRestOfString(bytes, i);
}

/** Apart from `skipString`, which stays small enough to be compiled into its callers. */
function skipRestOfString(bytes: Uint8Array, at: number): number {
  let i = at;
  while (i < bytes.length) {
    const kind = STRING_BYTE[bytes[i] ?? 0];
    if (kind === CLOSES) return i + 1;
    if (kind === PLAIN) i += 1;
    else if (kind === ESCAPES) i = skipEscape(bytes, i);
    else if (kind === MULTIBYTE) i = skipMultibyte(bytes, i);
    else return BAD;
    if (i < 0) return i;
  }
  return ENDED;
}

function skipEscape(bytes: Uint8Array, at: number): number {
  const byte = byteAt(bytes, at + 1);
  if (IS_ESCAPE[byte] === 1) return at + 2;
  if (byte !== 0x75) return faultAt(bytes, at + 1);
  for (let i = at + 2; i < at + 6; i += 1) if (IS_HEX[byteAt(bytes, i)] !== 1) return faultAt(bytes, i);
  return at + 6;
}

/** One character of two to four bytes: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629, section 4). */
function skipMultibyte(bytes: Uint8Array, at: number): number {
  const lead = byteAt(bytes, at);
  if (lead < 0xc2 || lead > 0xf4) return BAD;
  const end = at + (lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4);
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  for (let i = at + 1; i < end; i += 1) {
    const byte = byteAt(bytes, i);
    const isSecond = i === at + 1;
    if (byte < (isSecond ? low : 0x80) || byte > (isSecond ? high : 0xbf)) return faultAt(bytes, i);
  }
  return end;
}

function skipNumber(bytes: Uint8Array, at: number): number {
  let i = byteAt(bytes, at) === MINUS ? at + 1 : at;
  i = byteAt(bytes, i) === ZERO ? i + 1 : skipDigits(bytes, i);
  if (i >= 0 && byteAt(bytes, i) === DOT) i = skipDigits(bytes, i + 1);
  if (i < 0 || (byteAt(bytes, i) | 0x20) !== 0x65) return i;
  const sign = byteAt(bytes, i + 1);
  return skipDigits(bytes, sign === MINUS || sign === 0x2b ? i + 2 : i + 1);
}

function skipDigits(bytes: Uint8Array, at: number): number {
  let i = at;
  while (IS_DIGIT[byteAt(bytes, i)] === 1) i += 1;
  return i > at ? i : faultAt(bytes, i);
}

function skipLiteral(bytes: Uint8Array, at: number, literal: Uint8Array): number {
  for (let i = 0; i < literal.length; i += 1) if (byteAt(bytes, at + i) !== literal[i]) return faultAt(bytes, at + i);
  return at + literal.length;
}

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const byte of asciiOf(characters)) table[byte] = 1;
  return table;
}

function asciiOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
