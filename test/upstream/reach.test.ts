import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ANYWHERE, createLookup, PUBLIC, type Reach } from '../../src/adapters/upstream/connect.ts';
import { isInternal, sourcesSchema } from '../../src/adapters/upstream/source-config.ts';
import { createSources } from '../../src/adapters/upstream/sources.ts';
import type { Source } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';
import { wholePage } from '../support/whole-page.ts';
import { REFUSED } from './address-classes.ts';
import { clockAt, exchange, flexpaConfigOf, openHttp, sendTo, spend } from './raw-server.ts';

const TOKEN = new Secret('canary');
const { signal } = spend;
const refused = { kind: 'none', reason: 'address_refused', sent: false };

const at = (...addresses: readonly string[]): readonly LookupAddress[] =>
  addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

/** Counts who connects, and hangs up. */
async function listener(host = '127.0.0.1', port = 0) {
  const seen = { connections: 0 };
  const server = createServer((socket) => {
    seen.connections += 1;
    socket.on('error', () => {}).destroy();
  });
  server.listen(port, host);
  await once(server, 'listening');
  onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
  const address = server.address();
  return { seen, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

/** One source at `https://<host>:<port>`, and what names resolve to. */
function sourceAt({
  kind,
  host,
  port,
  settings = {},
}: {
  readonly kind: 'flexpa' | 'smart';
  readonly host: string;
  readonly port: number;
  readonly settings?: object;
}): Source {
  const url = `https://${host}:${port}`;
  const own =
    kind === 'flexpa'
      ? { kind, baseUrl: url, publishableKey: 'pk', secretKey: 'sk' }
      : { kind, fhirBaseUrl: url, clientId: 'c', auth: { method: 'none' } };
  const config = sourcesSchema.parse({ one: { ...own, ...settings } });
  const sources = createSources({ config, clock: clockAt(() => 0), resolve: async () => at('127.0.0.1') });
  onTestFinished(sources.close);
  const source = sources.get('one');
  if (source === undefined) throw new Error('no source');
  return source;
}

const notSent = { kind: 'no_reply', reason: 'connection', sent: false };
const noPage = { kind: 'unavailable', reason: 'address_refused' };
const urls = (source: Source) => ({
  tokenUrl: `${source.fhirBaseUrl}/token`,
  introspectUrl: `${source.fhirBaseUrl}/introspect`,
  revokeUrl: `${source.fhirBaseUrl}/revoke`,
});
const page = (source: Source) => ({ url: `${source.fhirBaseUrl}/Patient`, accessToken: TOKEN, signal });

/** Every request that a source makes: what it is, whose, whether at configured endpoints, the call, and what it says where it may not connect. */
const calls: readonly [string, 'flexpa' | 'smart', boolean, (source: Source) => Promise<unknown>, unknown][] = [
  ['exchange', 'flexpa', false, (source) => exchange(source, TOKEN), notSent],
  ['refresh', 'flexpa', false, (source) => source.refresh({ refreshToken: TOKEN, ...spend }), notSent],
  [
    'introspection',
    'flexpa',
    false,
    (source) => source.introspect({ token: TOKEN, of: 'access_token', signal }),
    { kind: 'unknown' },
  ],
  [
    'revocation',
    'flexpa',
    false,
    (source) => source.revoke({ accessToken: TOKEN, refreshToken: null, signal }),
    'unconfirmed',
  ],
  ['page', 'flexpa', false, (source) => source.streamPage(page(source)), noPage],
  ['whole page', 'flexpa', false, (source) => wholePage(source, page(source)), noPage],
  ['discovery', 'smart', false, (source) => source.refresh({ refreshToken: TOKEN, ...spend }), notSent],
  ['refresh', 'smart', true, (source) => source.refresh({ refreshToken: TOKEN, ...spend }), notSent],
  [
    'introspection',
    'smart',
    true,
    (source) => source.introspect({ token: TOKEN, of: 'refresh_token', signal }),
    { kind: 'unknown' },
  ],
  [
    'revocation',
    'smart',
    true,
    (source) => source.revoke({ accessToken: null, refreshToken: TOKEN, signal }),
    'unconfirmed',
  ],
  ['page', 'smart', true, (source) => source.streamPage(page(source)), noPage],
];

describe.each([
  ['a name that resolves to loopback', 'payer.test', '127.0.0.1'],
  ['a literal address', '127.0.0.2', '127.0.0.2'],
])('a source at %s', (_, host, address) => {
  test.each(calls)('is not connected to for a %s (%s)', async (_name, kind, endpoints, call, outcome) => {
    const { seen, port } = await listener(address);
    const bare = sourceAt({ kind, host, port });
    const source = endpoints ? sourceAt({ kind, host, port, settings: urls(bare) }) : bare;
    expect(await call(source)).toEqual(outcome);
    expect(seen.connections).toBe(0);
  });

  test.each(calls)(
    'control: without the guard, a %s reaches it (%s)',
    async (_name, kind, endpoints, call, outcome) => {
      const { seen, port } = await listener(address);
      const bare = sourceAt({ kind, host, port });
      const settings = { internal: true, ...(endpoints ? urls(bare) : {}) };
      const said = await call(sourceAt({ kind, host, port, settings }));
      expect(seen.connections).toBe(1);
      // TLS has failed, which is no refusal of ours.
      expect(said).toEqual(outcome === noPage ? { kind: 'unavailable', reason: 'connection' } : outcome);
    },
  );
});

describe('an agent for the public internet', () => {
  const reach = (...addresses: readonly string[]): Reach => ({ ...PUBLIC, resolve: async () => at(...addresses) });

  test.each(Object.entries(REFUSED))(
    'connects to no address of class %s, named or written out',
    async (_, addresses) => {
      for (const address of addresses) {
        expect(await sendTo(openHttp({ reach: reach(address) }), 'http://payer.test:9')).toEqual(refused);
        if (address.includes('%')) continue;
        const literal = address.includes(':') ? `[${address}]` : address;
        expect(await sendTo(openHttp({ reach: PUBLIC }), `http://${literal}:9`)).toEqual(refused);
      }
    },
  );

  test.each(['127.1', '2130706433', '0x7f.1', '0177.0.0.1', '①②⑦.0.0.1', '127.0.0.1.', 'localhost', 'LOCALHOST'])(
    'does not reach loopback by writing it as %s',
    async (host) => {
      const { seen, port } = await listener();
      expect(await sendTo(openHttp({ reach: PUBLIC }), `http://${host}:${port}`)).toEqual(refused);
      expect(seen.connections).toBe(0);
      await sendTo(openHttp({ reach: ANYWHERE }), `http://${host}:${port}`);
      expect(seen.connections).toBe(1);
    },
  );

  test('refuses a name of which one address is refused, whichever comes first, and a name without any', async () => {
    const { seen, port } = await listener();
    for (const addresses of [['8.8.8.8', '127.0.0.1'], ['127.0.0.1', '8.8.8.8'], ['2606:4700::1111', '::1'], []]) {
      expect(await sendTo(openHttp({ reach: reach(...addresses) }), `http://payer.test:${port}`)).toEqual(refused);
    }
    expect(seen.connections).toBe(0);
  });

  test('says of a name that does not resolve what it always said', async () => {
    const resolve = () => Promise.reject(new Error('canary'));
    const reply = await sendTo(openHttp({ reach: { ...PUBLIC, resolve } }), 'http://payer.test');
    expect(reply).toEqual({ kind: 'none', reason: 'connection', sent: false });
  });

  test('gives a socket that wants one address the first one', async () => {
    const lookup = createLookup(reach('8.8.8.8', '1.1.1.1'));
    const given = await new Promise((resolve) => {
      lookup('payer.test', { all: false }, (_error, address, family) => resolve([address, family]));
    });
    expect(given).toEqual(['8.8.8.8', 4]);
  });
});

describe('a name that answers differently each time it is asked', () => {
  /** 127.0.0.1 stands for a public address, 127.0.0.2 at the same port for one inside. */
  async function rebinding() {
    const allowed = await listener('127.0.0.1');
    const inside = await listener('127.0.0.2', allowed.port);
    let asked = 0;
    const reach: Reach = {
      mayReach: (address) => address === '127.0.0.1',
      resolve: async () => {
        asked += 1;
        return at(asked === 1 ? '127.0.0.1' : '127.0.0.2');
      },
    };
    return { allowed: allowed.seen, inside: inside.seen, port: allowed.port, reach, asked: () => asked };
  }

  test('is asked once for a connection, which goes to what was looked at', async () => {
    const { allowed, inside, port, reach, asked } = await rebinding();
    const http = openHttp({ reach });
    await sendTo(http, `http://payer.test:${port}`);
    expect([allowed.connections, inside.connections, asked()]).toEqual([1, 0, 1]);
    expect(await sendTo(http, `http://payer.test:${port}`)).toEqual(refused);
    expect([allowed.connections, inside.connections]).toEqual([1, 0]);
  });

  test('control: where the name is checked first and then connected to, it leads inside', async () => {
    const { inside, port, reach } = await rebinding();
    const checked = await reach.resolve('payer.test');
    expect(checked.every(({ address }) => reach.mayReach(address))).toBe(true);
    const socket = connect({ host: 'payer.test', port, lookup: createLookup({ ...reach, mayReach: () => true }) });
    await once(socket, 'connect');
    socket.destroy();
    await expect.poll(() => inside.connections).toBe(1);
  });
});

test.each([
  ['as it comes', { baseUrl: 'https://payer.test' }, false],
  ['at a private address', { baseUrl: 'https://10.0.0.1' }, false],
  ['at another address of loopback', { baseUrl: 'https://127.0.0.2' }, false],
  ['at a name that only looks like home', { baseUrl: 'https://localhost.payer.test' }, false],
  ['at home', { baseUrl: 'http://127.0.0.1:4000' }, true],
  ['at home by name', { baseUrl: 'http://localhost:4000' }, true],
  ['said to be inside', { baseUrl: 'https://10.0.0.1', internal: true }, true],
])('a registration %s: %j is internal: %s', (_, settings, internal) => {
  expect(isInternal(flexpaConfigOf({ publishableKey: 'pk', secretKey: 'sk', ...settings }))).toBe(internal);
});
