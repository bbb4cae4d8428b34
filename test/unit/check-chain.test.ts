import { describe, expect, test } from 'vitest';
import { AUDIT_CHAIN_NAMES, auditChainOf, auditText } from '../../src/core/audit-text.ts';
import { checkableEntry, createChainCheck, unchainedOf } from '../../src/core/check-chain.ts';
import type { Head } from '../../src/core/ports/notary.ts';
import { receiptText } from '../../src/core/receipt-text.ts';
import { notaryOf } from '../support/notary.ts';
import { CHAIN, type Linked, trailOf } from '../support/trails.ts';

const AT = Date.UTC(2026, 6, 1);
const notary = notaryOf();
const entryOf = (action: string) => ({ at: AT, authorizationId: 'a-1', actor: 'worker', action, reason: null });
const trail = trailOf({ entries: ['one', 'two', 'three', 'four', 'five'].map(entryOf), notary });
const heads = trail.slice(-1).map(({ link }) => link);

function findingsIn(links: readonly (Linked | undefined)[], marks: readonly Head[] = heads): readonly string[] {
  const chain = createChainCheck({ chain: CHAIN, marks, verifier: notary });
  for (const entry of links) {
    const checkable = entry === undefined ? null : checkableEntry({ ...entry, cursor: entry.link.seq });
    if (checkable !== null) chain.take(checkable);
  }
  return chain.end().findings.map(({ kind, seq }) => `${kind} ${seq}`);
}

const [one, two, three, four, five] = trail;
const altered = (entry: Linked | undefined, change: Partial<Linked>): Linked | undefined =>
  entry === undefined ? undefined : { ...entry, ...change };

describe('the findings of a chain', () => {
  test('name what is wrong and where', () => {
    expect(findingsIn(trail)).toStrictEqual([]);
    expect(findingsIn([one, two, altered(three, { actor: 'x' }), four, five])).toStrictEqual(['altered 3']);
    expect(findingsIn([one, two, four, five])).toStrictEqual(['missing 3']);
    expect(findingsIn([two, three, four, five])).toStrictEqual(['missing 1']);
    expect(findingsIn([one, three, two, four, five])).toStrictEqual(['missing 2', 'reordered 2', 'missing 3']);
    expect(findingsIn([one, two, three])).toStrictEqual(['cut_off 4']);
    expect(findingsIn([])).toStrictEqual(['cut_off 1']);
    const stranger = trailOf({ entries: trail, notary: notaryOf() });
    expect(findingsIn([one, two, three, four, stranger[4]])).toStrictEqual(['forged 5']);
  });

  test('two entries whose places were exchanged are told from altered ones', () => {
    if (two === undefined || four === undefined) throw new Error('no trail');
    const exchanged = [one, { ...four, link: two.link }, three, { ...two, link: four.link }, five];
    expect(findingsIn(exchanged)).toStrictEqual(['reordered 2', 'reordered 4']);
  });

  test('a history that went on from a restored copy is known by the anchor that it does not have', () => {
    const other = trailOf({ entries: ['one', 'two', 'another', 'past'].map(entryOf), notary });
    const anchor = heads.map((head) => ({ ...head, seq: 3, hash: three?.link.hash ?? '' }));
    expect(findingsIn(other, [])).toStrictEqual([]);
    expect(findingsIn(other, anchor)).toStrictEqual(['cut_off 3']);
  });

  test('heads of other chains and of empty ones say nothing', () => {
    const marks = [
      { chain: 'audit-9', seq: 99, hash: 'x' },
      { chain: CHAIN, seq: 0, hash: '' },
    ];
    expect(findingsIn(trail, marks)).toStrictEqual([]);
  });

  test('beyond a hundred they are counted and no longer named', () => {
    const long = trailOf({ entries: Array.from({ length: 300 }, (_, index) => entryOf(`act-${index}`)), notary });
    const chain = createChainCheck({ chain: CHAIN, marks: [], verifier: notary });
    for (const entry of long) {
      const checkable = checkableEntry({ ...entry, actor: 'x', cursor: entry.link.seq });
      if (checkable !== null) chain.take(checkable);
    }
    const report = chain.end();
    expect(report.counts).toMatchObject({ altered: 300 });
    expect(report.findings).toHaveLength(100);
  });

  test('what is in no chain is a finding only where it is younger than the chains', () => {
    expect(unchainedOf({ chain: 'audit', unlinked: { before: 7, after: 0 } }).findings).toStrictEqual([]);
    expect(unchainedOf({ chain: 'audit', unlinked: { before: 7, after: 2 } })).toMatchObject({
      counts: { unchained: 2 },
      findings: [{ kind: 'unchained', chain: 'audit' }],
    });
  });
});

describe('the signed texts', () => {
  test('of an entry is this, byte by byte', () => {
    const entry = {
      at: AT + 0.75,
      authorizationId: null,
      actor: 'service:cli',
      action: 'read:audit',
      reason: 'a "quoted" one',
    };
    expect(auditText({ chain: 'audit-0', seq: 7, previousHash: 'h', entry })).toBe(
      '{"type":"perennial/audit/v1","chain":"audit-0","seq":7,"previousHash":"h","at":"2026-07-01T00:00:00.000Z","authorizationId":null,"actor":"service:cli","action":"read:audit","reason":"a \\"quoted\\" one"}',
    );
    expect(auditText({ chain: 'audit-0', seq: 1, previousHash: '', entry: { ...entry, at: 1e300 } })).toContain(
      '"at":"invalid"',
    );
  });

  test('of a receipt is this, byte by byte', () => {
    const receipt = {
      authorizationId: 'a-1',
      source: 'flexpa',
      network: 'TEFCA_IAS',
      usage: 'ONE_TIME',
      acceptedAt: AT,
      dueAt: null,
      purgedAt: AT + 1,
      reason: 'requested',
      deleted: { queueEvents: 7, jobs: 6, journal: 5, changes: 4, manifests: 3, packs: 2, tokens: 1 },
      keyFingerprint: 'print',
      upstream: 'revoked',
      findings: { queue: 'gone', records: 'gone', tokens: 'gone', key: 'gone' },
    };
    expect(receiptText({ chain: 'receipts', seq: 1, previousHash: '', receipt })).toBe(
      '{"type":"perennial/receipt/v1","chain":"receipts","seq":1,"previousHash":"","authorizationId":"a-1","source":"flexpa","network":"TEFCA_IAS","usage":"ONE_TIME","acceptedAt":"2026-07-01T00:00:00.000Z","dueAt":null,"purgedAt":"2026-07-01T00:00:00.001Z","reason":"requested","deleted":{"tokens":1,"packs":2,"manifests":3,"changes":4,"journal":5,"jobs":6,"queueEvents":7},"keyFingerprint":"print","upstream":"revoked","findings":{"key":"gone","tokens":"gone","records":"gone","queue":"gone"}}',
    );
  });

  test('an authorization keeps its chain, and a fleet spreads over all of them', () => {
    const kept = ['audit-2', 'audit-11', 'audit-14', 'audit-0'];
    expect(['a-1', 'a-2', 'patient-0001', null].map(auditChainOf)).toStrictEqual(kept);
    const used = new Set(Array.from({ length: 1_000 }, (_, index) => auditChainOf(`patient-${index}`)));
    expect(used.size).toBe(AUDIT_CHAIN_NAMES.length);
  });
});
