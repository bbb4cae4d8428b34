import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSources } from '../../src/adapters/upstream/sources.ts';
import { decideLink } from '../../src/core/link.ts';
import type { Source } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';
import { wholePage } from '../support/whole-page.ts';
import { type Pages, pagesWith, readAll } from './pages-at.ts';
import { clockAt, exchange, flexpaConfigOf, rawServer, smartConfigOf, spend, whole } from './raw-server.ts';

const TOKEN = new Secret('canary');
const RUNS = 400;

type Heard = { readonly url: string; readonly authorized: boolean };

/** A server that answers everything and writes down who came with a token. */
async function listener(host = '127.0.0.1', port = 0) {
  const heard: Heard[] = [];
  const server: Server = createServer((request, response) => {
    heard.push({ url: request.url ?? '', authorized: request.headers.authorization !== undefined });
    response.end('{}');
  });
  server.listen(port, host);
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  return { heard, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

/** The registered server, one at another port, and one at another address with the same port. */
async function neighbourhood() {
  const own = await listener();
  const other = await listener();
  const twin = await listener('127.0.0.2', own.port);
  const leaks = () => [...other.heard, ...twin.heard];
  const strayed = () => own.heard.filter(({ url, authorized }) => authorized && !isUnderBase(url));
  return { own, other, leaks, strayed, base: `http://127.0.0.1:${own.port}/fhir` };
}
type Neighbourhood = Awaited<ReturnType<typeof neighbourhood>>;

/** As a server sees it that decodes what it is asked for, twice, takes a backslash for a slash, and drops path parameters. */
function isUnderBase(url: string): boolean {
  const decode = (text: string) =>
    text.replace(/%(2e|2f|3b|5c|25)/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const path = decode(decode(url.split('?')[0] ?? ''))
    .replaceAll('\\', '/')
    .replace(/;[^/]*/g, '');
  const { pathname } = new URL(`http://a.test/${path.replace(/^\/+/, '')}`);
  return pathname === '/fhir' || pathname.startsWith('/fhir/');
}

/** Links as a hostile page would write them: every part is right somewhere and wrong elsewhere. */
function linksOf({ own, other }: Neighbourhood): fc.Arbitrary<string> {
  const a = `127.0.0.1:${own.port}`;
  const b = `127.0.0.1:${other.port}`;
  const scheme = fc.constantFrom(
    'http:',
    'HTTP:',
    'https:',
    '',
    'ftp:',
    'ws:',
    ' http:',
    'ht\ttp:',
    'http:\n',
    'view-source:http:',
  );
  const slashes = fc.constantFrom('//', '//', '//', '/', '', '///', '\\\\', '/\\', '\\/');
  const user = fc.constantFrom('', '', '', `${a}@`, 'user:pass@', `${a}%40`, `${a}#@`, `${a}\\@`, `${a}/@`, ':@');
  const host = fc.constantFrom(
    ...[
      a,
      a,
      a,
      b,
      b,
      `127.0.0.2:${own.port}`,
      `2130706433:${other.port}`,
      `0x7f.1:${other.port}`,
      `127.1:${other.port}`,
    ],
    ...[
      `localhost:${other.port}`,
      `localhost:${own.port}`,
      `127.0.0.1.:${other.port}`,
      `[::ffff:127.0.0.1]:${other.port}`,
    ],
    ...[`①②⑦.0.0.1:${other.port}`, `${a}.payer.test`, `${a}:${other.port}`, `127.0.0.1%00:${other.port}`],
  );
  const path = fc.constantFrom(
    ...[
      '/fhir/Patient',
      '/fhir/Patient',
      '/fhir',
      '/fhir/',
      '/fhirevil/Patient',
      '/fhir/../admin',
      '/fhir/%2e%2e/admin',
    ],
    ...[
      '/fhir/..;/admin',
      '/fhir/.;a/../admin',
      '/fhir\\..\\admin',
      '/fhir/%2E./admin',
      '/fhir/%252e%252e/admin',
      '//fhir',
    ],
    ...[
      '/fhir/..%2fadmin',
      '/fhir/..%5cadmin',
      '/FHIR/Patient',
      '/',
      '',
      `//${b}/fhir`,
      `/fhir/http://${b}/fhir`,
      '/fhir//x',
    ],
  );
  const query = fc.constantFrom(
    '',
    '',
    '?page=2',
    `?next=http://${b}/fhir`,
    '#top',
    `#@${b}/fhir`,
    '?a=../../admin',
    '?\\..',
  );
  const built = fc.tuple(scheme, slashes, user, host, path, query).map((parts) => parts.join(''));
  const relative = fc.tuple(path, query).map((parts) => parts.join(''));
  return fc.oneof({ weight: 6, arbitrary: built }, { weight: 2, arbitrary: relative }, fc.webUrl(), fc.string());
}

/** What has been tried on others, each with its own trick. */
const byHand = ({ own, other }: Neighbourhood): readonly string[] => {
  const a = `127.0.0.1:${own.port}`;
  const b = `127.0.0.1:${other.port}`;
  return [
    `http://${b}/fhir/Patient`,
    `//${b}/fhir/Patient`,
    `\\\\${b}/fhir/Patient`,
    `http://${a}@${b}/fhir/Patient`,
    `http://${a}:80@${b}/fhir/Patient`,
    `http://${a}/fhir@${b}/fhir`,
    `http:\\\\${b}\\fhir`,
    `http://127.0.0.2:${own.port}/fhir/Patient`,
    `http://${a}/fhir/../admin`,
    `http://${a}/fhir/%2e%2e/admin`,
    `http://${a}/fhir/..;/admin`,
    `http://${a}/fhir/..%2fadmin`,
    `http://${a}/fhirevil`,
    `https://${a}/fhir/Patient`,
    `\thttp://${b}/fhir`,
    `javascript:fetch('http://${b}')`,
    `http://localhost:${own.port}/fhir/Patient`,
    `http://${b}#${a}/fhir`,
    `http://${b}?${a}/fhir`,
    `http://${b}\\@${a}/fhir`,
  ];
};

/** Follows a link as `judge` has it, with the token; says whether it did. */
async function follow({
  pages,
  next,
  judge,
}: {
  readonly pages: Pages;
  readonly next: string;
  readonly judge: (next: string) => string | null;
}): Promise<boolean> {
  const url = judge(next);
  if (url === null) return false;
  const page = await pages.stream(url);
  if (page.kind === 'page') await readAll(page);
  return true;
}

const ours = (base: string) => (next: string) => {
  const link = decideLink({ next, base });
  return link.kind === 'follow' ? link.url : null;
};

describe('the token goes nowhere else', () => {
  test(`with ${RUNS} generated next links and those made by hand: no other listener hears of it, and no other path`, async () => {
    const around = await neighbourhood();
    const pages = pagesWith({});
    const judge = ours(around.base);
    const told = { followed: 0, refused: 0 };
    const tryOne = async (next: string) => {
      told[(await follow({ pages, next, judge })) ? 'followed' : 'refused'] += 1;
      expect(around.leaks(), next).toEqual([]);
      expect(around.strayed(), next).toEqual([]);
    };
    for (const next of byHand(around)) await tryOne(next);
    expect(told).toEqual({ followed: 0, refused: byHand(around).length });
    await fc.assert(fc.asyncProperty(linksOf(around), tryOne), { numRuns: RUNS });
    // Neither all nor none: otherwise the links, and not the judgement, would have kept the token.
    expect(told.followed).toBeGreaterThan(RUNS / 40);
    expect(told.refused).toBeGreaterThan(RUNS / 4);
    expect(around.own.heard.filter(({ authorized }) => authorized).length).toBe(told.followed);
  });

  test.each([
    ['follows any link', () => (next: string) => (URL.canParse(next) ? next : null)],
    ['compares text', (base: string) => (next: string) => (next.startsWith(base.replace('/fhir', '')) ? next : null)],
    ['looks for the host in it', (base: string) => (next: string) => (next.includes(new URL(base).host) ? next : null)],
  ])('control: whoever %s, gives it away', async (_, judgeAt: (base: string) => (next: string) => string | null) => {
    const around = await neighbourhood();
    const pages = pagesWith({});
    const judge = judgeAt(around.base);
    for (const next of byHand(around)) await follow({ pages, next, judge });
    expect([...around.leaks(), ...around.strayed()].filter(({ authorized }) => authorized)).not.toEqual([]);
  });

  test('control: whoever asks only for the origin, lets it out of the base path', async () => {
    const around = await neighbourhood();
    const pages = pagesWith({});
    const { origin } = new URL(around.base);
    const judge = (next: string) => (URL.parse(next)?.origin === origin ? next : null);
    for (const next of byHand(around)) await follow({ pages, next, judge });
    expect(around.strayed()).not.toEqual([]);
  });
});

const { signal } = spend;
const page = (source: Source) => ({ url: `${source.fhirBaseUrl}/Patient`, accessToken: TOKEN, signal });
const calls: readonly [string, (source: Source) => Promise<unknown>, unknown][] = [
  ['flexpa exchange', (source) => exchange(source, TOKEN), { kind: 'reply', grant: null }],
  ['flexpa token', (source) => source.refresh({ refreshToken: TOKEN, ...spend }), { kind: 'reply', grant: null }],
  [
    'flexpa introspection',
    (source) => source.introspect({ token: TOKEN, of: 'access_token', signal }),
    { kind: 'unknown' },
  ],
  ['flexpa revocation', (source) => source.revoke({ accessToken: TOKEN, refreshToken: TOKEN, signal }), 'unconfirmed'],
  ['flexpa page', (source) => source.streamPage(page(source)), { kind: 'unavailable', reason: 'redirect' }],
  ['flexpa whole page', (source) => wholePage(source, page(source)), { kind: 'unavailable', reason: 'redirect' }],
  ['bare discovery', (source) => source.refresh({ refreshToken: TOKEN, ...spend }), { kind: 'no_reply', sent: false }],
  ['smart token', (source) => source.refresh({ refreshToken: TOKEN, ...spend }), { kind: 'reply', grant: null }],
  [
    'smart introspection',
    (source) => source.introspect({ token: TOKEN, of: 'refresh_token', signal }),
    { kind: 'unknown' },
  ],
  ['smart revocation', (source) => source.revoke({ accessToken: TOKEN, refreshToken: TOKEN, signal }), 'unconfirmed'],
  ['smart page', (source) => source.streamPage(page(source)), { kind: 'unavailable', reason: 'redirect' }],
];

/** A Flexpa source, a SMART one with its endpoints and one without, all at one address. */
function sourcesAt(url: string): (name: string) => Source {
  const smart = {
    fhirBaseUrl: `${url}/fhir`,
    clientId: 'c',
    auth: { method: 'client_secret_basic', clientSecret: 'canary' },
  };
  const endpoints = { tokenUrl: `${url}/token`, introspectUrl: `${url}/introspect`, revokeUrl: `${url}/revoke` };
  const config = {
    flexpa: flexpaConfigOf({ baseUrl: url, publishableKey: 'pk', secretKey: 'canary' }),
    smart: smartConfigOf({ ...smart, ...endpoints }),
    bare: smartConfigOf(smart),
  };
  const sources = createSources({ config, clock: clockAt(() => 0) });
  onTestFinished(sources.close);
  return (name) => {
    const source = sources.get(name.split(' ')[0] ?? '');
    if (source === undefined) throw new Error(name);
    return source;
  };
}

describe.each([301, 302, 303, 307, 308])('a redirect (%i)', (status) => {
  test.each(calls)(
    'is not followed by a request for %s, neither elsewhere nor to where it came from',
    async (name, call, outcome) => {
      const elsewhere = await listener();
      for (const target of ['elsewhere', 'home']) {
        const { url, requests } = await rawServer((socket) => {
          const location = target === 'home' ? '/again' : `http://127.0.0.1:${elsewhere.port}/`;
          socket.write(whole(status, { location, refresh: `0; url=${location}` }, '{"access_token":"a"}'));
        });
        const said = await call(sourcesAt(url)(name));
        if (typeof outcome === 'string') expect(said).toBe(outcome);
        else expect(said).toMatchObject(outcome ?? {});
        expect(requests).toHaveLength(1);
      }
      expect(elsewhere.heard).toEqual([]);
    },
  );
});
