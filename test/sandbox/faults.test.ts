import { describe, expect, it } from 'vitest';
import { get, grant, outcome, setKnobs, start, statsOf } from './support.ts';

describe('429 transient', () => {
  it('blocks reads while the first sync runs, with both hints, and uses up no quota', async () => {
    const { url, advance } = await start({ knobs: { initialSyncMs: 20_000, throttleRequests: 1 } });
    const it = await grant(url);
    for (let round = 0; round < 3; round++) {
      const reply = await get(`${url}/fhir/Patient`, it.access);
      expect(reply.status).toBe(429);
      expect([reply.headers.get('retry-after'), reply.headers.get('x-retry-after')]).toEqual(['3', '3']);
      expect(outcome.parse(await reply.json()).issue[0].code).toBe('transient');
    }
    advance(20_000);
    expect((await get(`${url}/fhir/Patient`, it.access)).status).toBe(200);
    expect(await statsOf(url, it.authorizationId)).toMatchObject({ transientAnswers: 3, throttledAnswers: 0 });
  });

  it.each([
    ['retry-after', { 'retry-after': '3', 'x-retry-after': null, ratelimit: null }],
    ['x-retry-after', { 'retry-after': null, 'x-retry-after': '3', ratelimit: null }],
    ['http-date', { 'retry-after': 'Thu, 01 Oct 2026 08:30:03 GMT', 'x-retry-after': null, ratelimit: null }],
    ['ratelimit', { 'retry-after': null, 'x-retry-after': null, ratelimit: '"default";r=0;t=3' }],
    ['none', { 'retry-after': null, 'x-retry-after': null, ratelimit: null }],
  ] as const)('gives the hint in the style %s', async (transientHint, expected) => {
    const { url } = await start({ knobs: { initialSyncMs: 20_000, transientHint } });
    const { access } = await grant(url);
    const { headers } = await get(`${url}/fhir/Patient`, access);
    expect({
      'retry-after': headers.get('retry-after'),
      'x-retry-after': headers.get('x-retry-after'),
      ratelimit: headers.get('ratelimit'),
    }).toEqual(expected);
    expect(headers.get('date')).toBe('Thu, 01 Oct 2026 08:30:00 GMT');
  });

  it.each([
    ['first', 200],
    ['every', 429],
  ] as const)('with syncBlocks %s the sync of a later day answers %i', async (syncBlocks, status) => {
    const { url, advance } = await start({ knobs: { initialSyncMs: 3_600_000 * 23, syncBlocks } });
    const { access } = await grant(url);
    advance(3_600_000 * 23.5);
    expect((await get(`${url}/fhir/Patient`, access)).status).toBe(status);
  });

  it('answers 422 processing when the sync has failed', async () => {
    const { url } = await start({ knobs: { syncFails: true } });
    const { access } = await grant(url);
    const reply = await get(`${url}/fhir/Patient`, access);
    expect(reply.status).toBe(422);
    expect(outcome.parse(await reply.json()).issue[0].code).toBe('processing');
  });
});

describe('429 throttled', () => {
  it('counts per endpoint and window, tells what is left, and lets in again after the window', async () => {
    const { url, advance } = await start();
    const first = await grant(url);
    const second = await grant(url);
    const elsewhere = await grant(url, { endpointId: 'riverbend-clinic' });
    await setKnobs(url, { endpoints: { 'meadowlark-health-plan': { throttleRequests: 2, throttleWindowMs: 60_000 } } });
    advance(20_000);
    const allowed = await get(`${url}/fhir/Patient`, first.access);
    expect([allowed.status, allowed.headers.get('x-ratelimit-remaining')]).toEqual([200, '1']);
    expect((await get(`${url}/fhir/Patient`, second.access)).status).toBe(200);
    const refused = await get(`${url}/fhir/Patient`, first.access);
    expect(refused.status).toBe(429);
    expect(outcome.parse(await refused.json()).issue[0].code).toBe('throttled');
    const names = ['retry-after', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'];
    expect(names.map((name) => refused.headers.get(name))).toEqual(['40', '2', '0', '40']);
    expect((await get(`${url}/fhir/Patient`, elsewhere.access)).status).toBe(200);
    advance(40_000);
    expect((await get(`${url}/fhir/Patient`, first.access)).status).toBe(200);
    expect(await statsOf(url, first.authorizationId)).toMatchObject({ throttledAnswers: 1, fhirRequests: 3 });
  });

  it('gives an authorization a quota of its own when the knob is set on it', async () => {
    const { url } = await start();
    const first = await grant(url, { knobs: { throttleRequests: 0 } });
    const second = await grant(url);
    expect((await get(`${url}/fhir/Patient`, first.access)).status).toBe(429);
    expect((await get(`${url}/fhir/Patient`, second.access)).status).toBe(200);
  });
});

describe('broken pages', () => {
  it('fails the nth request once with 500 exception', async () => {
    const { url } = await start();
    const { access } = await grant(url, { knobs: { pageFaultOnRequest: 2 } });
    const statuses: number[] = [];
    for (let round = 0; round < 4; round++) statuses.push((await get(`${url}/fhir/Patient`, access)).status);
    expect(statuses).toEqual([200, 500, 200, 200]);
  });

  it('can reset the connection, answer HTML, or send half a body', async () => {
    const { url } = await start({ knobs: { pageFaultOnRequest: 1, pageFaultRepeats: true } });
    const reset = await grant(url, { knobs: { pageFaultKind: 'reset' } });
    await expect(get(`${url}/fhir/Patient`, reset.access)).rejects.toThrow();
    const html = await grant(url, { knobs: { pageFaultKind: 'html' } });
    expect((await get(`${url}/fhir/Patient`, html.access)).headers.get('content-type')).toMatch(/html/);
    const cut = await grant(url, { knobs: { pageFaultKind: 'cut' } });
    const half = await get(`${url}/fhir/Patient`, cut.access);
    expect(half.status).toBe(200);
    const text = await half.text();
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
  });

  it('serves gzip when asked to and accepted, with the same content', async () => {
    const { url } = await start();
    const { access, authorizationId } = await grant(url);
    const plain = await (await get(`${url}/fhir/Patient`, access)).text();
    await setKnobs(url, { authorizations: { [authorizationId]: { gzip: true } } });
    const packed = await get(`${url}/fhir/Patient`, access);
    expect(packed.headers.get('content-encoding')).toBe('gzip');
    expect(await packed.text()).toBe(plain);
  });

  it('answers late by the domain’s clock', async () => {
    const { url } = await start({ knobs: { slowFhirMs: 10_000 } });
    const { access } = await grant(url);
    const before = performance.now();
    await get(`${url}/fhir/Patient`, access);
    expect(performance.now() - before).toBeGreaterThan(90);
  });
});
