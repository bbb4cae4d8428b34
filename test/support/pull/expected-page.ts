import { isUtf8 } from 'node:buffer';
import { referencePage } from '../bundle-reference.ts';
import { latin } from './bench.ts';

/** What pulling one page has to come to, found by JSON.parse and a walk over the whole page instead of the slicer. */
export type ExpectedPage = {
  /** Bytes by `Type/id`, as `Bench.records` gives them. */
  readonly records: ReadonlyMap<string, string>;
  /** Entries that are refused, by name of the reason, and the page where it is none. */
  readonly refused: Readonly<Record<string, number>>;
  readonly isComplete: boolean;
};

const NOTHING = { records: new Map<string, string>(), isComplete: false } as const;

/** Reads the page's own words. @throws Error where the walk and JSON.parse disagree: then the reference is wrong. */
export function expectedOf(page: Uint8Array): ExpectedPage {
  const parsed = parse(page);
  if (parsed === undefined) return { ...NOTHING, refused: { [isUtf8(page) ? 'page_not_json' : 'page_not_utf8']: 1 } };
  if (member(parsed, 'resourceType') === 'OperationOutcome') return { ...NOTHING, refused: { page_outcome: 1 } };
  if (member(parsed, 'resourceType') !== 'Bundle') return { ...NOTHING, refused: { page_not_a_bundle: 1 } };
  const { places, faults } = referencePage(page);
  const entries: unknown = member(parsed, 'entry') ?? [];
  if (!Array.isArray(entries) || entries.length !== places.length + faults.length)
    throw new Error('the walk lost an entry');
  const refused: Record<string, number> = {};
  const count = (reason: string): void => {
    refused[reason] = (refused[reason] ?? 0) + 1;
  };
  for (const { fault } of faults) count(fault);
  const bad = new Set(faults.map(({ index }) => index));
  const good: readonly unknown[] = entries.filter((_, index) => !bad.has(index));
  const records = new Map<string, string>();
  let isComplete = faults.length === 0;
  for (const [at, { start, end, resourceType, id }] of places.entries()) {
    const bytes = page.subarray(start, end);
    if (JSON.stringify(parse(bytes)) !== JSON.stringify(member(good[at], 'resource')))
      throw new Error('the walk cut it wrong');
    const text = latin(bytes);
    const name = `${resourceType}/${id}`;
    if (resourceType === 'OperationOutcome') {
      isComplete &&= !/"severity"\s*:\s*"(?:error|fatal)"/.test(text);
    } else if (records.has(name)) {
      const same = records.get(name) === text;
      count(same ? 'duplicate' : 'conflicting_duplicate');
      isComplete &&= same;
    } else records.set(name, text);
  }
  const total = member(parsed, 'total');
  isComplete &&= typeof total !== 'number' || total <= entries.length;
  return { records, refused, isComplete };
}

function parse(bytes: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return value;
  } catch {
    return undefined;
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
