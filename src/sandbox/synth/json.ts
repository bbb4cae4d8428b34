/** A value that can be serialised. `undefined` members are left out. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json | undefined };

// Private-use characters, which no text of ours holds, mark the strings that JSON.stringify must not have the last word on.
const DECIMAL_MARK = '\uE000';
const ESCAPE_MARK = '\uE001';
const MARKED = /"([\uE000\uE001])([^"]*)"/g;

/** A number served with exactly these digits: `1.00` stays `1.00`. */
export function decimal(digits: string): Json {
  return DECIMAL_MARK + digits;
}

/** A text served with `\uXXXX` and `\/` escapes where others write the characters: the same value, other bytes. No quotes inside. */
export function escaped(text: string): Json {
  return ESCAPE_MARK + text;
}

/** Money as FHIR writes it, from whole cents. */
export function money(cents: number): JsonObject {
  return { value: decimal((cents / 100).toFixed(2)), currency: 'USD' };
}

/** The bytes of `value` as they are served. */
export function toBytes(value: Json): Buffer {
  const text = JSON.stringify(value).replace(MARKED, (_whole, mark: string, inner: string) =>
    mark === DECIMAL_MARK ? inner : `"${escapeText(inner)}"`,
  );
  return Buffer.from(text, 'utf8');
}

function escapeText(text: string): string {
  return text
    .replaceAll('/', '\\/')
    .replace(/[\u0080-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
