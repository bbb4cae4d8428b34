import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideLink, type LinkDecision } from '../../src/core/link.ts';

const base = 'https://api.payer.com/fhir';
const follow = (url: string) => ({ kind: 'follow', url });
const refuse = (reason: string) => ({ kind: 'refuse', reason });

describe('links of real servers are followed', () => {
  const longQuery = `_getpages=${'a1-'.repeat(800)}&_count=20`;
  test.each([
    ['https://api.payer.com/fhir?_getpages=1', 'https://api.payer.com/fhir?_getpages=1'],
    ['https://api.payer.com/fhir/', 'https://api.payer.com/fhir/'],
    [
      'https://api.payer.com/fhir/Patient/p.1/$everything?page=2',
      'https://api.payer.com/fhir/Patient/p.1/$everything?page=2',
    ],
    ['https://API.Payer.COM:443/fhir/Patient?page=2', 'https://api.payer.com/fhir/Patient?page=2'],
    ['Patient?page=2', 'https://api.payer.com/fhir/Patient?page=2'],
    ['./Patient?page=2', 'https://api.payer.com/fhir/Patient?page=2'],
    ['/fhir/Patient?page=2', 'https://api.payer.com/fhir/Patient?page=2'],
    ['../fhir/Patient', 'https://api.payer.com/fhir/Patient'],
    ['//api.payer.com/fhir/Patient', 'https://api.payer.com/fhir/Patient'],
    ['?page=2', 'https://api.payer.com/fhir/?page=2'],
    [
      'Patient?name=a%2Fb%2e%2e&url=https://evil.test/../x',
      'https://api.payer.com/fhir/Patient?name=a%2Fb%2e%2e&url=https://evil.test/../x',
    ],
    ['Patient?page=2#top', 'https://api.payer.com/fhir/Patient?page=2'],
    [`Patient?${longQuery}`, `https://api.payer.com/fhir/Patient?${longQuery}`],
  ])('%s', (next, url) => {
    expect(decideLink({ next, base })).toEqual(follow(url));
  });

  test('a base with a slash at its end, a port, a query or no path is the same directory', () => {
    expect(decideLink({ next: 'Patient', base: `${base}/` })).toEqual(follow('https://api.payer.com/fhir/Patient'));
    expect(decideLink({ next: 'Patient', base: `${base}?tenant=1#x` })).toEqual(
      follow('https://api.payer.com/fhir/Patient'),
    );
    expect(decideLink({ next: 'https://a.test:8443/x', base: 'https://a.test:8443' })).toEqual(
      follow('https://a.test:8443/x'),
    );
  });

  test.each(['http://127.0.0.1:8080/fhir', 'http://localhost:8080/fhir', 'http://[::1]:8080/fhir'])(
    'plain http is followed for the loopback base %s',
    (loopback) => {
      expect(decideLink({ next: 'Patient?page=2', base: loopback })).toEqual(follow(`${loopback}/Patient?page=2`));
    },
  );
});

/** Promise P14's hand-made links: each would carry the token away, or out of the API it was given for. */
const HOSTILE: readonly (readonly [string, string])[] = [
  ['https://evil.test/fhir/Patient', 'other_origin'],
  ['https://api.payer.com.evil.test/fhir/Patient', 'other_origin'],
  ['https://api.payer.com@evil.test/fhir/Patient', 'has_credentials'],
  ['https://user:pass@api.payer.com/fhir/Patient', 'has_credentials'],
  ['//evil.test/fhir/Patient', 'other_origin'],
  ['https:/\u002fevil.test/fhir', 'other_origin'],
  ['https:///evil.test/fhir', 'other_origin'],
  ['https://api.payer.com:8443/fhir/Patient', 'other_origin'],
  ['https://api.payer.com./fhir/Patient', 'other_origin'],
  ['https://xn--pi-7lc.payer.com/fhir', 'other_origin'],
  ['https://\u0430pi.payer.com/fhir', 'other_origin'],
  ['http://api.payer.com/fhir/Patient', 'not_https'],
  ['http://127.0.0.1/fhir/Patient', 'not_https'],
  ['javascript:alert(1)', 'not_https'],
  ['data:text/plain,x', 'not_https'],
  ['https:\\\\evil.test\\fhir', 'unparsable'],
  ['/\\evil.test/fhir', 'unparsable'],
  ['\\\\evil.test/fhir', 'unparsable'],
  ['https://api.payer.com\\@evil.test/fhir', 'unparsable'],
  ['ht\ttps://evil.test/fhir', 'unparsable'],
  ['//evil\n.test/fhir', 'unparsable'],
  ['https://', 'unparsable'],
  ['https://api.payer.com:99999/fhir', 'unparsable'],
  ['', 'unparsable'],
  ['  ', 'unparsable'],
  ['https://api.payer.com/fhirevil/Patient', 'outside_base_path'],
  ['https://api.payer.com/FHIR/Patient', 'outside_base_path'],
  ['https://api.payer.com/', 'outside_base_path'],
  ['/admin', 'outside_base_path'],
  ['../admin', 'outside_base_path'],
  ['https://api.payer.com/fhir/../admin', 'outside_base_path'],
  ['https://api.payer.com/fhir/%2e%2e/admin', 'outside_base_path'],
  ['https://api.payer.com/fhir/.%2E/fhir/Patient', 'outside_base_path'],
  ['https://api.payer.com/fhir/..%2fadmin', 'outside_base_path'],
  ['https://api.payer.com/fhir/..%5cadmin', 'outside_base_path'],
  ['https://api.payer.com/fhir/%252e%252e/admin', 'outside_base_path'],
  ['https://api.payer.com/fhir/..;/admin', 'outside_base_path'],
  ['https://api.payer.com/fhir/..%3B/admin', 'outside_base_path'],
];

describe('links that would carry the token away are refused', () => {
  test.each(HOSTILE)('%j: %s', (next, reason) => {
    expect(decideLink({ next, base })).toEqual(refuse(reason));
  });

  test('http is refused where base is http on another machine, and https where base is http', () => {
    expect(decideLink({ next: 'Patient', base: 'http://api.payer.com/fhir' })).toEqual(refuse('not_https'));
    expect(decideLink({ next: 'Patient', base: 'http://127.0.0.1.evil.test/fhir' })).toEqual(refuse('not_https'));
    expect(decideLink({ next: 'https://localhost/fhir', base: 'http://localhost/fhir' })).toEqual(refuse('not_https'));
    expect(decideLink({ next: 'Patient', base: 'ftp://127.0.0.1/fhir' })).toEqual(refuse('not_https'));
  });

  test('a base that is no URL follows nothing', () => {
    expect(decideLink({ next: 'https://a.test/', base: 'a.test' })).toEqual(refuse('unparsable'));
  });

  test('8 kB are followed, more are refused, also when only escaping makes it longer', () => {
    const prefix = 'https://api.payer.com/fhir/Patient?';
    const room = 8192 - prefix.length;
    expect(decideLink({ next: prefix + 'a'.repeat(room), base }).kind).toBe('follow');
    expect(decideLink({ next: prefix + 'a'.repeat(room + 1), base })).toEqual(refuse('too_long'));
    expect(decideLink({ next: prefix + 'é'.repeat(room), base })).toEqual(refuse('too_long'));
  });
});

/** Parts of addresses, put together in every way: some are good, most are traps. */
const scheme = fc.constantFrom('https:', 'HTTPS:', 'http:', 'ftp:', 'https', '', ' https:', 'ht\ttps:');
const slashes = fc.constantFrom('//', '//', '//', '/', '///', '\\\\', '/\\', '');
const user = fc.constantFrom('', '', '', '@', 'api.payer.com@', 'a:b@', 'api.payer.com%40', 'api.payer.com\\@');
const host = fc.constantFrom(
  'api.payer.com',
  'api.payer.com',
  'API.PAYER.COM',
  'evil.test',
  'api.payer.com.evil.test',
  'evilapi.payer.com',
  'api。payer。com',
  'api.payer.com.',
  '127.0.0.1',
  '[::1]',
  '',
);
const port = fc.constantFrom('', '', ':443', ':80', ':8443', ':', ':99999');
const segment = fc.constantFrom(
  'fhir',
  'fhir',
  'fhirevil',
  'Patient',
  '..',
  '.',
  '%2e%2e',
  '.%2E',
  '..%2f',
  '..%5c',
  '..;',
  '..\\',
  '',
  '%252e%252e',
  '$everything',
);
const path = fc.array(segment, { maxLength: 5 }).map((segments) => segments.map((each) => `/${each}`).join(''));
const query = fc.constantFrom('', '?page=2', '?u=https://evil.test/', '?a=b#c', '#@evil.test', '?\\evil');
const generated = fc.tuple(scheme, slashes, user, host, port, path, query).map((parts) => parts.join(''));
const relative = fc.tuple(fc.constantFrom('', '//', '/', './'), path, query).map((parts) => parts.join(''));
const anyLink = fc.oneof(
  { weight: 6, arbitrary: generated },
  { weight: 2, arbitrary: relative },
  fc.string(),
  fc.webUrl(),
);

type Guard = (link: { next: string; base: string }) => LinkDecision;

/** As a lenient server decodes: what is no escape stays as it is. */
function decodeOnce(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** What must hold of a followed link, said without the guard's own means: the text itself starts with the base. */
function carriesTokenHomeOnly(guard: Guard) {
  return fc.property(anyLink, (next) => {
    const decision = guard({ next, base });
    if (decision.kind === 'refuse') return;
    const sentTo = new URL(decision.url);
    expect(sentTo.href).toBe(decision.url);
    expect(decision.url).toMatch(/^https:\/\/api\.payer\.com\/fhir(?:[/?]|$)/);
    const sentPath = decision.url.split('?')[0] ?? '';
    expect(decodeOnce(decodeOnce(sentPath))).not.toMatch(/\/\.\.(?:[/;]|$)|\\/);
    expect(decision.url).not.toMatch(/#/);
  });
}

test('of thousands of generated links every followed one stays at the registered origin and base path', () => {
  fc.assert(carriesTokenHomeOnly(decideLink), { numRuns: 20_000 });
});

test('the generated links hold enough good ones for that to mean something', () => {
  const kinds = fc.sample(anyLink, 5_000).map((next) => decideLink({ next, base }).kind);
  expect(kinds.filter((kind) => kind === 'follow').length).toBeGreaterThan(200);
});

const startsWithGuard: Guard = ({ next }) => {
  const origin = 'https://api.payer.com';
  return next.startsWith(origin)
    ? { kind: 'follow', url: URL.parse(next)?.href ?? '' }
    : { kind: 'refuse', reason: 'other_origin' };
};
const originGuard: Guard = ({ next }) => {
  const url = URL.parse(next, `${base}/`);
  return url?.origin === 'https://api.payer.com'
    ? { kind: 'follow', url: url.href }
    : { kind: 'refuse', reason: 'other_origin' };
};

test.each([
  ['that compares text with startsWith(origin)', startsWithGuard],
  ['that compares origins and forgets the path', originGuard],
])('control: a guard %s is caught by the same property and by the hand-made links', (_, guard) => {
  expect(fc.check(carriesTokenHomeOnly(guard), { numRuns: 20_000 }).failed).toBe(true);
  expect(HOSTILE.some(([next]) => guard({ next, base }).kind === 'follow')).toBe(true);
});
