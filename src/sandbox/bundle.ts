import type { Resource } from './patients.ts';
import { TAG_BASE } from './synth/build.ts';

export type Link = { readonly relation: 'self' | 'first' | 'next' | 'previous'; readonly url: string };

/**
 * A searchset as Flexpa writes it (contract 3.5): `link` after `entry`, no `search` member, no `entry` when empty.
 * The resources' bytes go in as they are.
 */
export function searchset(options: {
  fhirBase: string;
  resources: readonly Resource[];
  links: readonly Link[];
  total: number | null;
}): Buffer {
  const { fhirBase, resources, links, total } = options;
  const parts: Buffer[] = [];
  const text = (piece: string): unknown => parts.push(Buffer.from(piece, 'utf8'));
  text(`{"resourceType":"Bundle","type":"searchset"${total === null ? '' : `,"total":${total}`}`);
  for (const [index, { spec, id, body }] of resources.entries()) {
    text(
      `${index === 0 ? ',"entry":[' : ','}{"fullUrl":${JSON.stringify(`${fhirBase}/${spec.type}/${id}`)},"resource":`,
    );
    parts.push(body);
    text('}');
  }
  text(`${resources.length === 0 ? '' : ']'},"link":${JSON.stringify(links)}}`);
  return Buffer.concat(parts);
}

/** The links of one page. The patient filter is swapped for a `_tag` filter, as Flexpa does. */
export function pageLinks(options: {
  url: string;
  /** Where `next` points instead of `url`'s origin; null for the same. */
  nextOrigin: string | null;
  count: number;
  offset: number;
  total: number;
  carried: readonly (readonly [string, string])[];
  tokenId: string | null;
}): readonly Link[] {
  const { url, nextOrigin, count, offset, total, carried, tokenId } = options;
  const tag = tokenId === null ? [] : [['_tag', `${TAG_BASE}/PatientAccessTokenId|${tokenId}`] as const];
  const at = (from: number | null): string => {
    const page = [['_count', String(count)] as const, ...(from === null ? [] : [['_offset', String(from)] as const])];
    return `${url}?${new URLSearchParams([...page, ...carried, ...tag].map(([name, value]) => [name, value]))}`;
  };
  const links: Link[] = [
    { relation: 'self', url: at(offset === 0 ? null : offset) },
    { relation: 'first', url: at(0) },
  ];
  if (offset + count < total) {
    const next = at(offset + count);
    links.push({ relation: 'next', url: nextOrigin === null ? next : next.replace(/^https?:\/\/[^/]+/, nextOrigin) });
  }
  if (offset > 0) links.push({ relation: 'previous', url: at(Math.max(0, offset - count)) });
  return links;
}
