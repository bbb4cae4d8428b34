import type { StoredResource } from '../../contract/records.ts';

/** How resources stand in a body. */
export type Framing = {
  readonly contentType: string;
  /** What stands around and between all resources. */
  readonly whole: (body: { readonly isEmpty: boolean }) => Readonly<Record<'head' | 'between' | 'tail', Uint8Array>>;
  readonly frame: (one: {
    readonly resource: StoredResource;
    readonly fhirBaseUrl: string | null;
  }) => readonly Uint8Array[];
};

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const NOTHING = Buffer.alloc(0);

const LINE_END = Buffer.of(LINE_FEED);
const ENTRY_END = Buffer.from('}');

/** One resource a line. */
const NDJSON: Framing = {
  contentType: 'application/fhir+ndjson',
  whole: () => ({ head: NOTHING, between: NOTHING, tail: NOTHING }),
  frame: ({ resource }) => [asLine(resource.bytes), LINE_END],
};

/** One FHIR Bundle, whose resources are the stored bytes. FHIR knows no empty list: without resources it has no `entry`. */
const BUNDLE: Framing = {
  contentType: 'application/fhir+json',
  whole: ({ isEmpty }) => ({
    head: Buffer.from(`{"resourceType":"Bundle","type":"collection"${isEmpty ? '' : ',"entry":['}`),
    between: Buffer.from(',\n'),
    tail: Buffer.from(isEmpty ? '}' : ']}'),
  }),
  frame: ({ resource: { type, id, bytes }, fhirBaseUrl }) => {
    const fullUrl =
      fhirBaseUrl === null ? '' : `"fullUrl":${JSON.stringify(`${fhirBaseUrl.replace(/\/$/, '')}/${type}/${id}`)},`;
    return [Buffer.from(`{${fullUrl}"resource":`), bytes, ENTRY_END];
  },
};

export const FRAMINGS = { ndjson: NDJSON, bundle: BUNDLE } as const;
export const FORMATS = ['ndjson', 'bundle'] as const;

/** What is asked for by name, or else by the Accept header; lines where it leaves the choice. */
export function framingOf({
  format,
  accept,
}: {
  readonly format: (typeof FORMATS)[number] | undefined;
  readonly accept: string | undefined;
}): Framing {
  if (format !== undefined) return FRAMINGS[format];
  const ranges = (accept ?? '').toLowerCase().split(',');
  return weightOf({ ranges, type: BUNDLE.contentType }) > weightOf({ ranges, type: NDJSON.contentType })
    ? BUNDLE
    : NDJSON;
}

/** The weight that an Accept header gives to a media type by its name (RFC 9110, section 12.5.1); wildcards choose nothing. */
function weightOf({ ranges, type }: { readonly ranges: readonly string[]; readonly type: string }): number {
  const weights = ranges
    .map((range) => range.split(';').map((part) => part.trim()))
    .filter(([name]) => name === type)
    .map(([, ...parameters]) => parameters.find((parameter) => parameter.startsWith('q=')))
    .map((weight) => (weight === undefined ? 1 : Number(weight.slice('q='.length))));
  return Math.max(0, ...weights.filter((weight) => weight >= 0));
}

/** A raw line break in JSON can only be white space between tokens, so a space in its place changes nothing. */
function asLine(resource: Uint8Array): Uint8Array {
  if (!resource.includes(LINE_FEED) && !resource.includes(CARRIAGE_RETURN)) return resource;
  const line = resource.slice();
  replaceAll(line, LINE_FEED);
  replaceAll(line, CARRIAGE_RETURN);
  return line;
}

function replaceAll(line: Uint8Array, byte: number): void {
  for (let at = line.indexOf(byte); at !== -1; at = line.indexOf(byte, at + 1)) line[at] = SPACE;
}
