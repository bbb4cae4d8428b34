import {
  isUtf8,
  literalAt,
  nameOf,
  OPEN_ARRAY,
  OPEN_OBJECT,
  readTexts,
  skipValue,
  TOO_DEEP,
  textAt,
  walkArray,
  walkObject,
} from './json-scan.ts';
import { byteAt, skipBlank } from './json-token.ts';

/** The bytes `[start, end)` of one page that are one resource, exactly as they were sent, with its type and id. */
export type ResourceSlice = {
  readonly start: number;
  readonly end: number;
  readonly resourceType: string;
  readonly id: string;
};

/** An entry that holds no storable resource; `index` counts the page's entries from 0. */
export type EntryFault = {
  readonly index: number;
  readonly fault: 'no_resource' | 'no_type' | 'no_id' | 'not_an_object';
};

/** What one page turned out to be. `next` is unescaped but unchecked: `decideLink` says whether it may be followed. */
export type BundleSlices =
  | {
      readonly kind: 'bundle';
      readonly type: string;
      readonly slices: readonly ResourceSlice[];
      readonly faults: readonly EntryFault[];
      readonly next?: string;
      readonly total?: number;
    }
  | { readonly kind: 'outcome'; readonly codes: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: 'not_utf8' | 'not_json' | 'not_a_bundle' | 'too_deep' };

/** Issues of an OperationOutcome that are kept: servers send one to three. */
const ISSUE_CODES_MAX = 32;
/** FHIR's issue codes look like this ('invalid', 'too-costly'); anything else could be text about a patient. */
const ISSUE_CODE = /^[a-z][a-z-]{0,31}$/;

/** A safe integer has 16 digits; a longer text is no count. */
const TOTAL_TEXT_MAX = 32;

const PAGE_KEYS = ['resourceType', 'type', 'total', 'link', 'entry', 'issue'];
const ENTRY_KEYS = ['resource'];
const RESOURCE_KEYS = ['resourceType', 'id'];
const LINK_KEYS = ['relation', 'url'];
const ISSUE_KEYS = ['code'];
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
const LETTER_N = 0x6e;

type Page = {
  readonly bytes: Uint8Array;
  type: string | undefined;
  resourceType: string | undefined;
  total: number | undefined;
  next: string | undefined;
  linksReadable: boolean;
  entriesReadable: boolean;
  slices: ResourceSlice[];
  faults: EntryFault[];
  codes: string[];
};

/**
 * Cuts one FHIR page into its resources without parsing or re-serializing them (design, section 7), in one pass.
 *
 * Takes the whole page, decompressed, with or without a byte order mark. Refuses whatever `JSON.parse` would refuse, bytes
 * that are not UTF-8, nesting over `NESTING_MAX`, and JSON that is not a Bundle; throws nothing. Keys may come in any order
 * and spelling; of duplicate keys the last one counts, as in `JSON.parse`. A missing, null or empty `entry` is an empty
 * page. An `entry` or `link` of another shape, or a `next` whose url cannot be read, refuses the page: taken for an empty
 * or a last page it would publish deletions that never happened. An OperationOutcome gives its issue codes, none of its text.
 */
export function sliceBundle(bytes: Uint8Array): BundleSlices {
  const page = emptyPage(bytes);
  const start = skipBlank(bytes, BYTE_ORDER_MARK.every((byte, i) => bytes[i] === byte) ? BYTE_ORDER_MARK.length : 0);
  const isObject = byteAt(bytes, start) === OPEN_OBJECT;
  const end = isObject ? readPage(page, start) : skipValue(bytes, start, 0);
  if (end === TOO_DEEP) return { kind: 'refused', reason: 'too_deep' };
  if (end < 0 || skipBlank(bytes, end) < bytes.length)
    return { kind: 'refused', reason: isUtf8(bytes) ? 'not_json' : 'not_utf8' };
  return judge(page);
}

function judge({ resourceType, type, slices, faults, codes, next, total, ...page }: Page): BundleSlices {
  if (resourceType === 'OperationOutcome') return { kind: 'outcome', codes };
  const isWhole = resourceType === 'Bundle' && page.linksReadable && page.entriesReadable;
  if (!isWhole) return { kind: 'refused', reason: 'not_a_bundle' };
  const optional = { ...(next === undefined ? {} : { next }), ...(total === undefined ? {} : { total }) };
  return { kind: 'bundle', type: type ?? '', slices, faults, ...optional };
}

// Each reader below takes the place where a value starts and returns the place after it, or json-scan's fault.

function readPage(page: Page, start: number): number {
  const { bytes } = page;
  return walkObject(bytes, start, 0, (at, keyAt, keyEnd) => {
    const name = nameOf(bytes, keyAt, keyEnd, PAGE_KEYS);
    if (name === 'entry') return readEntries(page, at);
    if (name === 'link') return readLinks(page, at);
    if (name === 'issue') return readIssues(page, at);
    const end = skipValue(bytes, at, 1);
    if (end < 0) return end;
    if (name === 'total') page.total = totalAt(bytes, at, end);
    if (name === 'type') page.type = textAt(bytes, at, end);
    if (name === 'resourceType') page.resourceType = textAt(bytes, at, end);
    return end;
  });
}

function readEntries(page: Page, start: number): number {
  page.slices = [];
  page.faults = [];
  page.entriesReadable = isListOrNull(page.bytes, start);
  let index = 0;
  return readElements(page.bytes, start, (at) => {
    const { end, found } = readEntry(page.bytes, at, page.slices.at(-1)?.resourceType);
    if (typeof found === 'string') page.faults.push({ index, fault: found });
    else page.slices.push(found);
    index += 1;
    return end;
  });
}

type Entry = { end: number; found: ResourceSlice | EntryFault['fault'] };

function readEntry(bytes: Uint8Array, start: number, guess: string | undefined): Entry {
  if (byteAt(bytes, start) !== OPEN_OBJECT) return { end: skipValue(bytes, start, 2), found: 'not_an_object' };
  let entry: Entry = { end: start, found: 'no_resource' };
  const end = walkObject(bytes, start, 2, (at, keyAt, keyEnd) => {
    if (nameOf(bytes, keyAt, keyEnd, ENTRY_KEYS) === undefined) return skipValue(bytes, at, 3);
    entry = readResource(bytes, at, guess);
    return entry.end;
  });
  return { end, found: entry.found };
}

function readResource(bytes: Uint8Array, start: number, guess: string | undefined): Entry {
  if (byteAt(bytes, start) === LETTER_N) return { end: skipValue(bytes, start, 3), found: 'no_resource' };
  if (byteAt(bytes, start) !== OPEN_OBJECT) return { end: skipValue(bytes, start, 3), found: 'not_an_object' };
  const { end, texts } = readTexts(bytes, start, 3, RESOURCE_KEYS, guess);
  const { resourceType, id } = texts;
  if (!resourceType) return { end, found: 'no_type' };
  // A server's remark among the entries has no id by right (FHIR R4, bundle.html, search mode "outcome").
  if (!id && resourceType !== 'OperationOutcome') return { end, found: 'no_id' };
  return { end, found: { start, end, resourceType, id: id ?? '' } };
}

function readLinks(page: Page, start: number): number {
  page.next = undefined;
  page.linksReadable = isListOrNull(page.bytes, start);
  return readElements(page.bytes, start, (at) => {
    const { end, texts } = readTexts(page.bytes, at, 2, LINK_KEYS);
    if (texts['relation'] !== 'next') return end;
    page.next ??= texts['url'];
    if (!texts['url']) page.linksReadable = false;
    return end;
  });
}

function readIssues(page: Page, start: number): number {
  page.codes = [];
  return readElements(page.bytes, start, (at) => {
    const { end, texts } = readTexts(page.bytes, at, 2, ISSUE_KEYS);
    const code = texts['code'] ?? '';
    if (page.codes.length < ISSUE_CODES_MAX) page.codes.push(ISSUE_CODE.test(code) ? code : 'unknown');
    return end;
  });
}

function readElements(bytes: Uint8Array, at: number, onElement: (at: number) => number): number {
  return byteAt(bytes, at) === OPEN_ARRAY ? walkArray(bytes, at, 1, onElement) : skipValue(bytes, at, 1);
}

/** A count is a whole number from 0 on; anything else counts as not given. */
function totalAt(bytes: Uint8Array, start: number, end: number): number | undefined {
  const total = Number(end - start > TOTAL_TEXT_MAX ? Number.NaN : literalAt(bytes, start, end));
  return Number.isSafeInteger(total) && total >= 0 ? total : undefined;
}

function isListOrNull(bytes: Uint8Array, at: number): boolean {
  return byteAt(bytes, at) === OPEN_ARRAY || byteAt(bytes, at) === LETTER_N;
}

function emptyPage(bytes: Uint8Array): Page {
  const strings = { type: undefined, resourceType: undefined, total: undefined, next: undefined };
  return { bytes, ...strings, linksReadable: true, entriesReadable: true, slices: [], faults: [], codes: [] };
}
