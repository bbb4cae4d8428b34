import { type Members, nameUnderWay, newMembers, openMembers, takeKey, takeValue, textOf } from './json-members.ts';
import { PART } from './json-scanner.ts';
import { literalAt } from './json-text.ts';
import { CLOSE_ARRAY, CLOSE_OBJECT, OPEN_ARRAY, OPEN_OBJECT } from './json-token.ts';
import { type KeptBytes, lend, nothingKept, spanOf } from './kept-bytes.ts';

/** An entry that holds no storable resource; `index` counts the page's entries from 0. */
export type EntryFault = {
  readonly index: number;
  readonly fault: 'no_resource' | 'no_type' | 'no_id' | 'not_an_object';
};

/** One entry of a page: its resource, exactly as it was sent, with the place `at` in the stream; or what is wrong with it. */
export type SlicedEntry =
  | {
      readonly kind: 'resource';
      readonly resourceType: string;
      readonly id: string;
      readonly at: number;
      readonly bytes: Uint8Array;
    }
  | ({ readonly kind: 'fault' } & EntryFault);

type ListName = 'entry' | 'link' | 'issue';

/** Issues of an OperationOutcome that are kept: servers send one to three. */
const ISSUE_CODES_MAX = 32;
/** FHIR's issue codes look like this ('invalid', 'too-costly'); anything else could be text about a patient. */
const ISSUE_CODE = /^[a-z][a-z-]{0,31}$/;
/** A safe integer has 16 digits; a longer text is no count. */
const TOTAL_BYTES_MAX = 32;

const PAGE_NAMES = ['resourceType', 'type', 'total', 'link', 'entry', 'issue'];
const LETTER_N = 0x6e;

/** A page as far as it has been read. */
export type Page = {
  kept: KeptBytes;
  isObject: boolean;
  /** Of the page, of an element of each list in it, of the resource in an entry. */
  readonly members: Members;
  readonly elements: Readonly<Record<ListName, Members>>;
  readonly resource: Members;
  list: ListName | undefined;
  isInElement: boolean;
  isInResource: boolean;
  /** The place of the resource of the open entry; -1 where there is none. */
  resourceAt: number;
  resourceEnd: number;
  found: 'resource' | EntryFault['fault'];
  entries: number;
  total: number | undefined;
  next: string | undefined;
  codes: string[];
  hasEntry: boolean;
  isEntryReadable: boolean;
  areLinksReadable: boolean;
  /** Entries that have been completed since somebody last took them out. */
  done: SlicedEntry[];
};

/** Nothing read. */
export function newPage(): Page {
  return {
    kept: nothingKept(),
    isObject: false,
    members: newMembers(PAGE_NAMES),
    elements: { entry: newMembers(['resource']), link: newMembers(['relation', 'url']), issue: newMembers(['code']) },
    resource: newMembers(['resourceType', 'id']),
    list: undefined,
    isInElement: false,
    isInResource: false,
    resourceAt: -1,
    resourceEnd: -1,
    found: 'no_resource',
    entries: 0,
    total: undefined,
    next: undefined,
    codes: [],
    hasEntry: false,
    isEntryReadable: true,
    areLinksReadable: true,
    done: [],
  };
}

/** Takes the next part of the page, as the scanner tells it; its depth says what it belongs to. */
export function takePart(page: Page, part: number, depth: number, from: number, to: number, name: number): void {
  if (depth === 4) {
    if (page.isInResource) takeMember(page.resource, page.kept, part, from, to, name);
  } else if (depth === 3) takeElementPart(page, part, from, to, name);
  else if (depth === 2) takeListPart(page, part);
  else if (depth === 1) takePagePart(page, part, from, to);
  else if (part === OPEN_OBJECT) page.isObject = true;
}

/** A key, a value, or an opening of one. Returns whether it is the value of a member that matters. */
function takeMember(members: Members, kept: KeptBytes, part: number, from: number, to: number, name: number): boolean {
  if (part !== PART.KEY) return !isClosing(part) && takeValue(members, kept, part, from, to);
  takeKey(members, kept, from, to, name);
  return false;
}

function takePagePart(page: Page, part: number, from: number, to: number): void {
  const { members, kept } = page;
  page.list = undefined;
  if (!page.isObject || !takeMember(members, kept, part, from, to, 0)) return;
  const name = nameUnderWay(members);
  const isReadable = part === OPEN_ARRAY || isNull(kept, part, from, to);
  if (name === 'total') page.total = part === PART.SCALAR ? countAt(kept, from, to) : undefined;
  if (name !== 'entry' && name !== 'link' && name !== 'issue') return;
  if (part === OPEN_ARRAY) page.list = name;
  if (name === 'issue') page.codes = [];
  if (name === 'link') {
    page.next = undefined;
    page.areLinksReadable = isReadable;
  }
  if (name === 'entry') {
    // The last of two lists would count, but entries of the first have been handed out.
    if (page.hasEntry) page.list = undefined;
    page.isEntryReadable = isReadable && !page.hasEntry;
    page.hasEntry = true;
  }
}

/** A count is a whole number from 0 on; anything else counts as not given. */
function countAt(kept: KeptBytes, from: number, to: number): number | undefined {
  if (to - from > TOTAL_BYTES_MAX) return undefined;
  const { bytes, start, end } = spanOf(kept, from, to);
  const count = Number(literalAt(bytes, start, end));
  return Number.isSafeInteger(count) && count >= 0 ? count : undefined;
}

function isClosing(part: number): boolean {
  return part === CLOSE_OBJECT || part === CLOSE_ARRAY;
}

function isNull(kept: KeptBytes, part: number, from: number, to: number): boolean {
  if (part !== PART.SCALAR) return false;
  const { bytes, start } = spanOf(kept, from, to);
  return bytes[start] === LETTER_N;
}

function takeListPart(page: Page, part: number): void {
  const { list } = page;
  if (list === undefined || part === CLOSE_ARRAY) return;
  page.isInElement = part === OPEN_OBJECT;
  if (part === CLOSE_OBJECT) endElement(page, list);
  else if (part === OPEN_OBJECT) {
    openMembers(page.elements[list]);
    page.found = 'no_resource';
  } else if (list === 'entry') settleEntry(page, 'not_an_object');
  else if (list === 'issue') settleIssue(page, undefined);
}

function endElement(page: Page, list: ListName): void {
  const { link, issue } = page.elements;
  if (list === 'entry') settleEntry(page, page.found);
  else if (list === 'issue') settleIssue(page, textOf(issue, 'code'));
  else if (textOf(link, 'relation') === 'next') {
    const url = textOf(link, 'url');
    page.next ??= url;
    if (!url) page.areLinksReadable = false;
  }
}

function settleIssue({ codes }: Page, code: string | undefined): void {
  if (codes.length < ISSUE_CODES_MAX) codes.push(code !== undefined && ISSUE_CODE.test(code) ? code : 'unknown');
}

function settleEntry(page: Page, found: Page['found']): void {
  const { kept, resource, resourceAt, resourceEnd } = page;
  const index = page.entries;
  page.entries += 1;
  page.resourceAt = -1;
  if (found !== 'resource') page.done.push({ kind: 'fault', index, fault: found });
  else {
    page.done.push({
      kind: 'resource',
      resourceType: textOf(resource, 'resourceType') ?? '',
      id: textOf(resource, 'id') ?? '',
      at: resourceAt,
      bytes: lend(kept, resourceAt, resourceEnd),
    });
  }
}

function takeElementPart(page: Page, part: number, from: number, to: number, name: number): void {
  const { list, kept } = page;
  if (list === undefined || !page.isInElement) return;
  if (page.isInResource) endResource(page, to);
  else if (takeMember(page.elements[list], kept, part, from, to, name) && list === 'entry')
    beginResource(page, part, from, to);
}

function beginResource(page: Page, part: number, from: number, to: number): void {
  page.isInResource = part === OPEN_OBJECT;
  if (page.isInResource) {
    page.resourceAt = from;
    openMembers(page.resource);
  } else page.found = isNull(page.kept, part, from, to) ? 'no_resource' : 'not_an_object';
}

/** With its brace, which is the next part of its entry. */
function endResource(page: Page, end: number): void {
  page.isInResource = false;
  page.resourceEnd = end;
  const resourceType = textOf(page.resource, 'resourceType');
  // A server's remark among the entries has no id by right (FHIR R4, bundle.html, search mode "outcome").
  const needsId = resourceType !== 'OperationOutcome';
  if (!resourceType) page.found = 'no_type';
  else page.found = needsId && !textOf(page.resource, 'id') ? 'no_id' : 'resource';
}
