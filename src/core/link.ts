/** Whether a link found in a page may be requested with our token, and if so the exact URL to request. */
export type LinkDecision =
  | { readonly kind: 'follow'; readonly url: string }
  | {
      readonly kind: 'refuse';
      readonly reason:
        | 'unparsable'
        | 'too_long'
        | 'has_credentials'
        | 'not_https'
        | 'other_origin'
        | 'outside_base_path';
    };

/** Real `next` links carry queries of 2.4 kB; most servers refuse request lines over 8 kB themselves. */
const LINK_MAX_CHARACTERS = 8 * 1024;

/** URL parsers drop tabs and line breaks and read a backslash as a slash, so what a person or a log sees is not what is sent. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const MISLEADING = /[\u0000-\u001f\u007f\\]/;
/**
 * Dots, slashes, semicolons, backslashes and percent signs in disguise, and `..;` (Java servers drop what follows the semicolon): a proxy
 * or server that decodes them would leave the base path after we checked it. No FHIR path needs any of these.
 */
const DISGUISED = /%(?:2e|2f|3b|5c|25)|(?:^|\/)\.{1,2};/i;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * May `next`, an address out of an upstream reply, carry the token registered for `base` (promise P14; SMART App Launch:
 * tokens never go to another server unasked)? Only to base's origin and under base's path, as the URL parser sees both;
 * comparing text is how tokens leak (promises, finding 6).
 *
 * `base` is the registered FHIR base URL, taken as a directory: relative links resolve against it and `/fhirevil` is not
 * under `/fhir`. Plain http counts only where base itself is http on loopback. The returned URL has no fragment and is the
 * parsed form: request this text, not `next`. Throws nothing.
 */
export function decideLink({ next, base }: { readonly next: string; readonly base: string }): LinkDecision {
  if (next.length > LINK_MAX_CHARACTERS) return refuse('too_long');
  const directory = directoryOf(base);
  if (directory === undefined || next.trim() === '' || MISLEADING.test(next)) return refuse('unparsable');
  const url = parse(next, directory);
  if (url === undefined) return refuse('unparsable');
  if (url.username !== '' || url.password !== '') return refuse('has_credentials');
  if (!mayCarryToken(url, directory)) return refuse('not_https');
  if (url.origin !== directory.origin) return refuse('other_origin');
  const isUnderBase = `${url.pathname}/`.startsWith(directory.pathname);
  if (!isUnderBase || DISGUISED.test(pathOf(next))) return refuse('outside_base_path');
  url.hash = '';
  // Parsing escapes what may not stand in a URL, which makes it longer.
  return url.href.length > LINK_MAX_CHARACTERS ? refuse('too_long') : { kind: 'follow', url: url.href };
}

function directoryOf(base: string): URL | undefined {
  const url = parse(base);
  if (url === undefined) return undefined;
  url.search = '';
  url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

function mayCarryToken(url: URL, directory: URL): boolean {
  if (directory.protocol === 'https:') return url.protocol === 'https:';
  return directory.protocol === 'http:' && LOOPBACK.test(directory.hostname) && url.protocol === 'http:';
}

function pathOf(link: string): string {
  return link.split(/[?#]/, 1)[0] ?? '';
}

function parse(text: string, base?: URL): URL | undefined {
  return URL.parse(text, base) ?? undefined;
}

function refuse(reason: Extract<LinkDecision, { kind: 'refuse' }>['reason']): LinkDecision {
  return { kind: 'refuse', reason };
}
