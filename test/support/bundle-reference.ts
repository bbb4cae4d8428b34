import type { EntryFault } from '../../src/core/bundle-page.ts';
import { skipValue, walkArray, walkObject } from '../../src/core/json-scan.ts';
import { nameOf, textAt } from '../../src/core/json-text.ts';
import { byteAt, OPEN_ARRAY, OPEN_OBJECT, skipBlank } from '../../src/core/json-token.ts';

/*
 * What a page holds and where, read by other means than the slicer's: a walk over the values of the whole page, byte by byte,
 * by the scanner that `canonicalForm` uses. It tells the places; JSON.parse, beside it in the tests, tells what is right.
 */

export type Place = {
  readonly start: number;
  readonly end: number;
  readonly resourceType: string;
  readonly id: string;
};

export type ReferencePage = {
  readonly isJson: boolean;
  readonly resourceType: string | undefined;
  readonly places: readonly Place[];
  readonly faults: readonly EntryFault[];
  /** How many members are called `entry`. */
  readonly entryLists: number;
};

type Texts = { readonly [name: string]: string | undefined };
type Found = { readonly end: number; readonly found: Place | EntryFault['fault'] };

const LETTER_N = 0x6e;

export function referencePage(bytes: Uint8Array): ReferencePage {
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const start = skipBlank(bytes, hasMark ? 3 : 0);
  const places: Place[] = [];
  const faults: EntryFault[] = [];
  let entryLists = 0;
  let resourceType: string | undefined;
  const readPage = (): number =>
    walkObject(bytes, start, 0, (at, keyAt, keyEnd) => {
      const name = nameOf(bytes, keyAt, keyEnd, ['entry', 'resourceType']);
      if (name === 'entry') {
        entryLists += 1;
        return readEntries(bytes, at, places, faults);
      }
      const end = skipValue(bytes, at, 1);
      if (end >= 0 && name === 'resourceType') resourceType = textAt(bytes, at, end);
      return end;
    });
  const end = byteAt(bytes, start) === OPEN_OBJECT ? readPage() : skipValue(bytes, start, 0);
  const isJson = end >= 0 && skipBlank(bytes, end) === bytes.length;
  return { isJson, resourceType, places, faults, entryLists };
}

function readEntries(bytes: Uint8Array, start: number, places: Place[], faults: EntryFault[]): number {
  places.length = 0;
  faults.length = 0;
  if (byteAt(bytes, start) !== OPEN_ARRAY) return skipValue(bytes, start, 1);
  let index = 0;
  return walkArray(bytes, start, 1, (at) => {
    const { end, found } = readEntry(bytes, at);
    if (typeof found === 'string') faults.push({ index, fault: found });
    else places.push(found);
    index += 1;
    return end;
  });
}

function readEntry(bytes: Uint8Array, start: number): Found {
  if (byteAt(bytes, start) !== OPEN_OBJECT) return { end: skipValue(bytes, start, 2), found: 'not_an_object' };
  let entry: Found = { end: start, found: 'no_resource' };
  const end = walkObject(bytes, start, 2, (at, keyAt, keyEnd) => {
    if (nameOf(bytes, keyAt, keyEnd, ['resource']) === undefined) return skipValue(bytes, at, 3);
    entry = readResource(bytes, at);
    return entry.end;
  });
  return { end, found: entry.found };
}

function readResource(bytes: Uint8Array, start: number): Found {
  if (byteAt(bytes, start) === LETTER_N) return { end: skipValue(bytes, start, 3), found: 'no_resource' };
  if (byteAt(bytes, start) !== OPEN_OBJECT) return { end: skipValue(bytes, start, 3), found: 'not_an_object' };
  const texts: { [name: string]: string | undefined } = {};
  const end = walkObject(bytes, start, 3, (at, keyAt, keyEnd) => {
    const name = nameOf(bytes, keyAt, keyEnd, ['resourceType', 'id']);
    const valueEnd = skipValue(bytes, at, 4);
    if (valueEnd >= 0 && name !== undefined) texts[name] = textAt(bytes, at, valueEnd);
    return valueEnd;
  });
  return { end, found: judge(texts, start, end) };
}

function judge({ resourceType, id }: Texts, start: number, end: number): Place | EntryFault['fault'] {
  if (!resourceType) return 'no_type';
  if (!id && resourceType !== 'OperationOutcome') return 'no_id';
  return { start, end, resourceType, id: id ?? '' };
}
