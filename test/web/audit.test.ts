import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { receiptViewOf } from '../../src/contract/proof.ts';
import { RECEIPT_CHAIN } from '../../src/core/receipt-text.ts';
import { NOTARY } from '../support/notary.ts';
import { CHAIN, receiptsOf, trailOf } from '../support/trails.ts';
import { bearer, KEY, READER_KEY, startWeb, type TestWeb } from '../support/web.ts';

const AT = Date.UTC(2026, 6, 1);
let web: TestWeb;
beforeEach(async () => {
  web = await startWeb();
});
afterEach(() => web.close());

const get = (path: string, key: string = KEY) => fetch(`${web.url}${path}`, { headers: bearer(key) });
const json = async (path: string): Promise<unknown> => (await get(path)).json();
const entryOf = (action: string) => ({ at: AT, authorizationId: 'a-1', actor: 'worker', action, reason: null });

describe('the proof over HTTP', () => {
  test('a chain is read page by page, and each page stands in the audit under the reader’s name', async () => {
    const trail = trailOf({ entries: ['one', 'two', 'three'].map(entryOf), notary: NOTARY });
    web.service.kept.entries = trail.map((entry) => ({ ...entry, cursor: entry.link.seq }));
    const page = await json(`/v1/audit?chain=${CHAIN}&limit=2`);
    expect(page).toMatchObject({
      entries: [
        { action: 'one', at: '2026-07-01T00:00:00.000Z', cursor: 1, link: { chain: CHAIN, seq: 1, previousHash: '' } },
        { action: 'two', link: trail[1]?.link },
      ],
      next: 2,
    });
    expect(await json(`/v1/audit?chain=${CHAIN}&after=2`)).toMatchObject({ entries: [{ action: 'three' }], next: 3 });
    expect(await json(`/v1/audit?chain=${CHAIN}&after=3`)).toEqual({ entries: [], next: 3 });
    expect(web.service.actors).toEqual(['service:portal', 'service:portal', 'service:portal']);
  });

  test('what is in no chain is asked for by that name', async () => {
    web.service.kept.entries = [{ ...entryOf('old'), cursor: 17, link: null }];
    expect(await json('/v1/audit?chain=none')).toMatchObject({ entries: [{ action: 'old', link: null }], next: 17 });
  });

  test('an altered instant, or any other word, is shown as it stands and refused to nobody', async () => {
    const [entry] = trailOf({ entries: [entryOf('one')], notary: NOTARY });
    if (entry === undefined) throw new Error('no entry');
    web.service.kept.entries = [{ ...entry, at: Number.POSITIVE_INFINITY, cursor: 1 }];
    expect(await json(`/v1/audit?chain=${CHAIN}`)).toMatchObject({ entries: [{ at: 'invalid' }] });
  });

  test('receipts come in the order of their chain, a page at a time', async () => {
    const receipts = receiptsOf({ ids: ['a-1', 'a-2'], notary: NOTARY });
    web.service.kept.receipts = receipts.map(receiptViewOf);
    expect(await json('/v1/receipts?limit=1')).toEqual({ receipts: [receipts.map(receiptViewOf)[0]], next: 1 });
    expect(await json('/v1/receipts?after=1')).toMatchObject({
      receipts: [{ authorizationId: 'a-2', link: { chain: RECEIPT_CHAIN, seq: 2 } }],
      next: 2,
    });
    expect(await json('/v1/receipts?after=2')).toEqual({ receipts: [], next: 2 });
  });

  test('heads and anchors are told apart', async () => {
    web.service.kept.heads = [{ chain: CHAIN, seq: 7, hash: 'h' }];
    web.service.kept.anchors = [{ chain: CHAIN, seq: 5, hash: 'g' }];
    web.service.kept.unlinked = { before: 3, after: 0 };
    expect(await json('/v1/audit/heads')).toEqual({
      heads: web.service.kept.heads,
      anchors: web.service.kept.anchors,
      unlinked: { entries: { before: 3, after: 0 }, receipts: { before: 0, after: 0 } },
    });
  });

  test.each(['/v1/audit?chain=audit-1', '/v1/receipts', '/v1/audit/heads'])(
    '%s needs the scope audit',
    async (path) => {
      const refused = await get(path, READER_KEY);
      expect([refused.status, await refused.json()]).toMatchObject([403, { error: { field: 'scope audit' } }]);
      expect(web.service.actors).toEqual([]);
      expect((await fetch(`${web.url}${path}`)).status).toBe(401);
    },
  );

  test('the signing key is given to any key, its public half alone', async () => {
    await web.close();
    web = await startWeb({ signingPublicJwk: { ...NOTARY.publicJwk, ...{ d: 'canary-private' } } });
    const answer = await get('/v1/signing-key', READER_KEY);
    expect(await answer.json()).toEqual(NOTARY.publicJwk);
    expect((await fetch(`${web.url}/v1/signing-key`)).status).toBe(401);
  });

  test.each(['chain=audit-16', 'chain=receipts', 'chain=audit-1&after=-1', 'chain=audit-1&limit=501', ''])(
    'a question that names no page is refused: %s',
    async (query) => {
      expect((await get(`/v1/audit?${query}`)).status).toBe(400);
    },
  );
});
