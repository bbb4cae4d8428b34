import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClient } from '../../src/client.ts';
import { requestOf } from '../support/fake-service.ts';
import { bearer, KEY, post, READER_KEY, startWeb, type TestWeb } from '../support/web.ts';

const AT = '2026-07-01T12:00:00.000Z';
const OBSERVATIONS = {
  resourceType: 'Observation',
  result: 'complete',
  held: 30,
  fullAt: AT,
  knownUntil: AT,
  suspected: { count: 12, since: AT },
} as const;

let web: TestWeb;
beforeEach(async () => {
  web = await startWeb();
  await post(`${web.url}/v1/authorizations`, JSON.stringify(requestOf('a-1')));
  web.service.kept.types = [OBSERVATIONS];
});
afterEach(() => web.close());

const at = (path: string) => `${web.url}/v1/authorizations/a-1/types${path}`;

test('types come as they are known, to keys that may see records', async () => {
  const answer = await fetch(at(''), { headers: bearer() });
  expect([answer.status, await answer.json()]).toEqual([200, { types: [OBSERVATIONS], cursor: 0, pulling: false }]);
  const refused = await fetch(at(''), { headers: bearer(READER_KEY) });
  expect([refused.status, await refused.json()]).toMatchObject([403, { error: { field: 'scope records' } }]);
});

test('the word on suspected removals is passed on with who said it, and needs the scope pull', async () => {
  const told = await post(at('/Observation/suspected'), '{"verdict":"removed"}');
  expect([told.status, await told.json()]).toEqual([
    200,
    { resourceType: 'Observation', verdict: 'removed', count: 12 },
  ]);
  expect(web.service.kept.verdicts).toEqual(['service:portal Observation removed']);
  const refused = await post(at('/Observation/suspected'), '{"verdict":"kept"}', bearer(READER_KEY));
  expect([refused.status, await refused.json()]).toMatchObject([403, { error: { field: 'scope pull' } }]);
  expect(web.service.kept.verdicts).toHaveLength(1);
});

test.each([
  ['/Observation/suspected', '{"verdict":"canary"}', 400, /^verdict must be one of removed, kept$/],
  ['/Observation/suspected', '{"verdict":"kept","ids":["canary"]}', 400, /^ids is an unknown field$/],
  ['/observation/suspected', '{"verdict":"kept"}', 400, /^type must be a FHIR resource type$/],
  ['/Coverage/suspected', '{"verdict":"kept"}', 409, /^nothing_suspected$/],
])('a word that does not fit (%s %s) is refused and changes nothing', async (path, body, status, said) => {
  const answer = await post(at(path), body);
  const { error }: { error: { code: string; field?: string } } = JSON.parse(await answer.text());
  expect([answer.status, error.field ?? error.code]).toEqual([status, expect.stringMatching(said)]);
  expect(web.service.kept.verdicts).toEqual([]);
});

test('other services have all of it by the client', async () => {
  const client = createClient({ url: web.url, apiKey: KEY });
  web.service.stored.resources = [new TextEncoder().encode('{"resourceType":"Patient"}')];
  web.service.stored.cursor = 7;
  const { cursor, chunks } = await client.records('a-1', { types: ['Patient'] });
  let text = '';
  for await (const chunk of chunks) text += Buffer.from(chunk).toString();
  expect([cursor, text, web.service.stored.wanted]).toEqual([7, '{"resourceType":"Patient"}\n', ['Patient']]);
  expect((await client.types('a-1')).types).toEqual([OBSERVATIONS]);
  expect(await client.settleSuspected('a-1', 'Observation', 'kept')).toMatchObject({ verdict: 'kept', count: 12 });
  await expect(client.records('none')).rejects.toMatchObject({ code: 'authorization_not_found' });
  await expect(client.settleSuspected('a-1', '../x', 'kept')).rejects.toMatchObject({ code: 'invalid_request' });
  web.service.stored.resources = (async function* () {
    yield new Uint8Array(200_000).fill(0x20);
    throw new Error('canary-late');
  })();
  const cut = await client.records('a-1');
  const read = async () => {
    for await (const chunk of cut.chunks) text += chunk.length;
  };
  await expect(read()).rejects.toMatchObject({ code: 'perennial_unreachable' });
  await client.close();
});
