import { afterEach, beforeEach, expect, test } from 'vitest';
import { LIMITS } from '../../src/core/limits.ts';
import { requestOf } from '../support/fake-service.ts';
import { bearer, post, startWeb, type TestWeb, wallClock } from '../support/web.ts';

let web: TestWeb;
beforeEach(async () => {
  web = await startWeb();
  await post(`${web.url}/v1/authorizations`, JSON.stringify(requestOf('a-1')));
});
afterEach(() => web.close());

const bytes = (text: string) => new TextEncoder().encode(text);
const records = (init: RequestInit = {}) =>
  fetch(`${web.url}/v1/authorizations/a-1/records`, { headers: bearer(), ...init });

test('resources come one a line, their bytes as they were but for line breaks', async () => {
  web.service.stored.resources = [bytes('{\r\n "a": 1.00,\n "b": "x\\ny"\n}'), bytes('{"c":"é"}')];
  const answer = await records();
  expect(answer.headers.get('content-type')).toBe('application/fhir+ndjson');
  const text = await answer.text();
  expect(text).toBe('{   "a": 1.00,  "b": "x\\ny" }\n{"c":"é"}\n');
});

const recordsAs = (query: string, headers: Record<string, string> = {}) =>
  fetch(`${web.url}/v1/authorizations/a-1/records${query}`, { headers: { ...bearer(), ...headers } });

test('as a Bundle, by name or by Accept, resources stand in it byte for byte, and an empty one has no entry', async () => {
  web.service.stored.resources = [bytes('{\r\n "resourceType": "Basic", "a": 1.00\n}'), bytes('{"c":"é"}')];
  const asked = [recordsAs('', { accept: 'application/fhir+json' }), recordsAs('?format=bundle')];
  for (const answer of await Promise.all(asked)) {
    expect(answer.headers.get('content-type')).toBe('application/fhir+json');
    const text = await answer.text();
    expect(text).toContain('"resource":{\r\n "resourceType": "Basic", "a": 1.00\n}}');
    const bundle: { entry: { fullUrl: string; resource: unknown }[] } = JSON.parse(text);
    expect(bundle).toMatchObject({ resourceType: 'Bundle', type: 'collection' });
    expect(bundle.entry.map(({ resource }) => resource)).toEqual([{ resourceType: 'Basic', a: 1 }, { c: 'é' }]);
    expect(bundle.entry[0]?.fullUrl).toMatch(/^https:\/\/fhir\.example\/r4\/Basic\/[0-9]+$/);
  }
  web.service.stored.resources = [];
  expect(await (await recordsAs('?format=bundle')).json()).toEqual({ resourceType: 'Bundle', type: 'collection' });
});

test.each([
  ['*/*', 'ndjson'],
  ['application/json', 'ndjson'],
  ['application/fhir+json;q=0.4, application/fhir+ndjson;q=0.5', 'ndjson'],
  ['application/fhir+ndjson;q=0.1, APPLICATION/FHIR+JSON; q=0.9', 'json'],
  ['application/fhir+json;q=0', 'ndjson'],
])('of Accept %s the better liked one is answered: %s', async (accept, kind) => {
  expect((await recordsAs('', { accept })).headers.get('content-type')).toBe(`application/fhir+${kind}`);
  const named = await recordsAs('?format=ndjson', { accept });
  expect(named.headers.get('content-type')).toBe('application/fhir+ndjson');
});

test('a Bundle that fails in the middle is cut, and is no JSON', async () => {
  web.service.stored.resources = (async function* () {
    yield bytes(`{"a":"${'x'.repeat(200_000)}"}`);
    throw new Error('canary-late');
  })();
  await expect((await recordsAs('?format=bundle')).text()).rejects.toThrow();
});

test('the answer says the cursor it is as of; asOf is answered for that one alone, and types are passed on', async () => {
  web.service.stored.cursor = 17;
  const answer = await recordsAs('?asOf=17&type=Patient,Observation');
  expect([answer.status, answer.headers.get('perennial-cursor')]).toEqual([200, '17']);
  expect(web.service.stored.wanted).toEqual(['Patient', 'Observation']);
  await recordsAs('');
  expect(web.service.stored.wanted).toBeUndefined();
  const moved = await recordsAs('?asOf=16');
  expect([moved.status, await moved.json()]).toMatchObject([409, { error: { code: 'cursor_moved' } }]);
});

test.each([
  ['?type=Patient,observation', /^type must be a FHIR resource type/],
  ['?type=Patient,', /^type must be/],
  ['?type=Patient&type=Observation', /^type must be/],
  ['?format=xml', /^format must be one of ndjson, bundle$/],
  ['?asOf=-1', /^asOf is too small$/],
  ['?asof=1', /^asof is an unknown field$/],
])('%s is refused by the name of the field', async (query, field) => {
  const answer = await recordsAs(query);
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({
    error: { code: 'invalid_request', field: expect.stringMatching(field) },
  });
});

test('an authorization without records answers an empty body', async () => {
  const answer = await records();
  expect([answer.status, await answer.text()]).toEqual([200, '']);
});

test('many resources arrive whole and in order', async () => {
  web.service.stored.resources = Array.from({ length: 20_000 }, (_, at) => bytes(`{"id":"${at}"}`));
  const lines = (await (await records()).text()).trimEnd().split('\n');
  expect(lines).toHaveLength(20_000);
  expect(lines[19_999]).toBe('{"id":"19999"}');
});

test('a reader who stops reading stops the reading, and one who leaves ends it', async () => {
  const resource = new Uint8Array(64 * 1024).fill(0x20);
  web.service.stored.resources = (function* () {
    for (let at = 0; at < 10_000; at += 1) yield resource;
  })();
  const leave = new AbortController();
  const answer = await records({ signal: leave.signal });
  expect(answer.status).toBe(200);
  await wallClock.sleep(300);
  const asked = web.service.stored.asked;
  expect(asked).toBeLessThan(1_000);
  leave.abort();
  await answer.text().catch(() => '');
  for (let turn = 0; turn < 100 && !web.service.stored.ended; turn += 1) await wallClock.sleep(20);
  expect(web.service.stored.ended).toBe(true);
});

test('a failure before the first resource is answered; one in the middle cuts the body, so that it is not taken for whole', async () => {
  web.service.stored.resources = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('canary-early')) }),
  };
  expect((await records()).status).toBe(500);
  web.service.stored.resources = (async function* () {
    yield new Uint8Array(200_000).fill(0x20);
    throw new Error('canary-late');
  })();
  const cut = await records();
  expect(cut.status).toBe(200);
  await expect(cut.text()).rejects.toThrow();
  expect(web.lines).toContainEqual({ level: 'error', event: 'records_cut_short', fields: { code: 'internal' } });
  expect(JSON.stringify(web.lines)).not.toContain('canary');
});

test('closing waits for readers no longer than its cap, then cuts them', async () => {
  const caps: number[] = [];
  const hasty = (wallMs: number, signal?: AbortSignal) => {
    caps.push(wallMs);
    return wallClock.sleep(100, signal);
  };
  const closing = await startWeb({ clock: { sleep: hasty } });
  await closing.service.accept({ request: requestOf('a-1'), actor: 'test' });
  closing.service.stored.resources = (function* () {
    for (let at = 0; at < 10_000; at += 1) yield new Uint8Array(64 * 1024).fill(0x20);
  })();
  const answer = await fetch(`${closing.url}/v1/authorizations/a-1/records`, { headers: bearer() });
  expect(answer.status).toBe(200);
  await Promise.all([closing.close(), closing.close()]);
  expect(caps).toEqual([LIMITS.shutdownCapMs]);
  await expect(answer.text()).rejects.toThrow();
});
