import { afterEach, beforeEach, expect, test } from 'vitest';
import { REMOTE_COMMANDS } from '../../src/main/remote.ts';
import { bearer, KEY, READER_KEY, startWeb, type TestWeb } from '../support/web.ts';

let web: TestWeb;
beforeEach(async () => {
  web = await startWeb();
});
afterEach(() => web.close());

async function run(name: 'keys rotate' | 'keys status', args: readonly string[] = [], apiKey = KEY) {
  let [out, err] = ['', ''];
  const [to, errTo] = [{ write: (text: string) => (out += text) }, { write: (text: string) => (err += text) }];
  const code = await REMOTE_COMMANDS[name]({ args, baseUrl: web.url, apiKey, out: to, err: errTo });
  return { code, out, err };
}

const PAGES = [
  { currentKeyId: 'k2', rewrapped: 90, current: 8, gone: 2, unreadable: 0 },
  { currentKeyId: 'k2', rewrapped: 40, current: 0, gone: 0, unreadable: 0 },
];

test('a rotation goes from page to page, shows how far it is, and sums up what became of the keys', async () => {
  web.service.kept.rotations = [...PAGES];
  expect(await run('keys rotate')).toStrictEqual({
    code: 0,
    out: 'every data key is wrapped by k2 now: older keys may leave ENCRYPTION_KEYS\n',
    err: '\r90 rewrapped, 8 current already, 2 gone, 0 unreadable\r130 rewrapped, 8 current already, 2 gone, 0 unreadable\n',
  });
  const { code, out } = await run('keys rotate', ['--json']);
  expect([code, JSON.parse(out)]).toStrictEqual([
    0,
    { currentKeyId: 'k2', rewrapped: 130, current: 8, gone: 2, unreadable: 0 },
  ]);
  expect(new Set(web.service.actors)).toStrictEqual(new Set(['service:portal']));
});

test('a rotation that could not open a key ends with 1 and says how many were left', async () => {
  web.service.kept.rotations = PAGES.map((page) => ({ ...page, unreadable: 3 }));
  const { code, out } = await run('keys rotate');
  expect(code).toBe(1);
  expect(out).toMatch(/^6 data keys are opened by none of ENCRYPTION_KEYS/);
});

test('the status of the keys is a row for each, summed over the pages', async () => {
  const k1 = { keyId: 'k1', held: false };
  web.service.kept.censuses = [
    {
      currentKeyId: 'k2',
      keys: [
        { ...k1, wraps: 5 },
        { keyId: 'k2', held: true, wraps: 1 },
      ],
      unreadable: 1,
    },
    { currentKeyId: 'k2', keys: [{ ...k1, wraps: 2 }], unreadable: 0 },
  ];
  const { code, out } = await run('keys status');
  expect(code).toBe(0);
  expect(out.split('\n').map((line) => line.split(/ {2,}/))).toStrictEqual([
    ['KEY', 'STATE', 'DATA KEYS'],
    ['k1', 'NOT IN ENCRYPTION_KEYS', '7'],
    ['k2', 'current', '1'],
    ['-', 'UNREADABLE', '1'],
    [''],
  ]);
});

test('an API key needs the scope operate for either, and a rotation takes a page’s place and nothing else', async () => {
  for (const name of ['keys rotate', 'keys status'] as const) {
    expect(await run(name, [], READER_KEY)).toMatchObject({ code: 1, err: expect.stringContaining('scope operate') });
    expect(await run(name, ['more'])).toMatchObject({ code: 2, err: expect.stringContaining(`perennial ${name}`) });
  }
  const headers = { ...bearer(), 'content-type': 'application/json' };
  for (const body of ['{"after":7}', '{"limit":9}', '{"after":""}']) {
    const answer = await fetch(`${web.url}/v1/keys/rotation`, { method: 'POST', headers, body });
    expect(answer.status, body).toBe(400);
  }
  expect(web.service.actors).toStrictEqual([]);
});
