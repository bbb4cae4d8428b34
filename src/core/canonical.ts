import { skipValue, walkArray, walkObject } from './json-scan.ts';
import { literalAt } from './json-text.ts';
import { byteAt, OPEN_ARRAY, OPEN_OBJECT, QUOTE, skipBlank } from './json-token.ts';

/** Servers stamp these on every reading or copy of a resource, so they say nothing about its content. */
const VOLATILE_META = ['"lastUpdated"', '"versionId"'];
/** Signed links (AWS, Google Cloud, Azure, CloudFront) are made anew for every reply: the same file, another query. */
const SIGNED_QUERY = /[?&](?:x-amz-signature|x-goog-signature|signature|sig)=/i;

/** Where in the resource a value stands, as far as that decides what is left out. */
type Role = 'resource' | 'meta' | 'url' | 'plain';

/** A resource as sent, and decoded. */
type Source = { readonly bytes: Uint8Array; readonly text: string };

/** A value's canonical text and the place after it, or json-scan's fault. */
type Written = { readonly text: string; readonly end: number };

const META = '"meta"';
const URL_KEY = '"url"';
const EMPTY_OBJECT = '{}';

/**
 * One text for all spellings of one resource, so that noise is no change (design, section 7): keys are sorted, white space
 * and escapes spelled one way, of duplicate keys the last one counts. Left out are `lastUpdated` and `versionId` of the
 * resource's own `meta` (not of contained resources), a `meta` that has nothing else, and the query of any `url` that looks
 * signed. Arrays keep their order and numbers their text: FHIR's decimals carry precision, so `1.0` and `1.00` differ.
 *
 * Takes the bytes of any JSON value; whatever is not JSON, or nested too deep, is its own form. Throws nothing. The text is
 * for comparing and hashing, never for storing: records are kept as they were sent.
 */
export function canonicalForm(resource: Uint8Array): string {
  const source = { bytes: resource, text: decodeLeniently(resource) };
  const { text, end } = write(source, skipBlank(resource, 0), 0, 'resource');
  const isWhole = end >= 0 && skipBlank(resource, end) === resource.length;
  return isWhole ? text : source.text;
}

function write(source: Source, at: number, depth: number, role: Role): Written {
  const byte = byteAt(source.bytes, at);
  if (byte === OPEN_OBJECT) return writeObject(source, at, depth, role);
  if (byte === OPEN_ARRAY) return writeArray(source, at, depth);
  const end = skipValue(source.bytes, at, depth);
  if (end < 0) return { text: '', end };
  const literal = byte === QUOTE ? stringAt(source, at, end) : literalOf(source, at, end);
  return { text: role === 'url' && byte === QUOTE ? withoutSignedQuery(literal) : literal, end };
}

function writeObject(source: Source, start: number, depth: number, role: Role): Written {
  const members = new Map<string, string>();
  const end = walkObject(source.bytes, start, depth, (at, keyAt, keyEnd) => {
    const key = stringAt(source, keyAt, keyEnd);
    const value = write(source, at, depth + 1, roleOf(key, role));
    members.set(key, value.text);
    return value.end;
  });
  if (role === 'meta') for (const key of VOLATILE_META) members.delete(key);
  if (role === 'resource' && members.get(META) === EMPTY_OBJECT) members.delete(META);
  const sorted = [...members.keys()].sort().map((key) => `${key}:${members.get(key)}`);
  return { text: `{${sorted.join(',')}}`, end };
}

function writeArray(source: Source, start: number, depth: number): Written {
  const elements: string[] = [];
  const end = walkArray(source.bytes, start, depth, (at) => {
    const element = write(source, at, depth + 1, 'plain');
    elements.push(element.text);
    return element.end;
  });
  return { text: `[${elements.join(',')}]`, end };
}

function roleOf(key: string, parent: Role): Role {
  if (key === URL_KEY) return 'url';
  return key === META && parent === 'resource' ? 'meta' : 'plain';
}

/** A key or string with its quotes, its characters spelled as JSON.stringify does; without a backslash they are already. */
function stringAt(source: Source, at: number, end: number): string {
  const literal = literalOf(source, at, end);
  return literal.includes('\\') ? JSON.stringify(JSON.parse(literal)) : literal;
}

/** Places in the bytes are places in the text where all of it is ASCII: three times faster than decoding each token. */
function literalOf({ bytes, text }: Source, at: number, end: number): string {
  return text.length === bytes.length ? text.slice(at, end) : literalAt(bytes, at, end);
}

/** `literal` is a url with its quotes. */
function withoutSignedQuery(literal: string): string {
  const query = literal.indexOf('?');
  return query >= 0 && SIGNED_QUERY.test(literal.slice(query)) ? `${literal.slice(0, query)}"` : literal;
}

function decodeLeniently(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}
