import { describe, expect, test } from 'vitest';
import { AUDIT_CHAIN_NAMES, auditChainOf } from '../../../src/core/audit-text.ts';
import {
  type ChainReport,
  checkableEntry,
  checkableReceipt,
  createChainCheck,
  unchainedOf,
} from '../../../src/core/check-chain.ts';
import type { Head } from '../../../src/core/ports/notary.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import { RECEIPT_CHAIN } from '../../../src/core/receipt-text.ts';
import type { Sql } from '../../support/databases.ts';
import { NOTARY } from '../../support/notary.ts';
import { ACTOR, forceState, inserted, NOW, newId, receiptOf, taken, tokensOf, type Use } from './samples.ts';

const PAGE = 7;

export function linksContract(use: Use): void {
  describe('links', () => {
    test('every writer of the audit trail leaves one link, signed, without a gap', async () => {
      const { store, sql } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      const move = (state: 'suspended' | 'active', stateReason: 'paused_by_operator' | 'exchanged') =>
        store.update({ ...fence, patch: { state, stateReason }, actor: ACTOR });
      await move('suspended', 'paused_by_operator');
      const next = { expectedVersion: 1, tokens: tokensOf(2), fingerprint: 'f', actor: ACTOR };
      await store.reauthorize({ ...fence, ...next, patch: { state: 'active', stateReason: 'reauthorized' } });
      await store.commitTokens({
        ...fence,
        expectedVersion: 2,
        tokens: tokensOf(3),
        patch: { stateReason: 'late_reply' },
        actor: ACTOR,
      });
      await store.appendAudit({ at: NOW, authorizationId: id, actor: ACTOR, action: 'read:records', reason: null });
      await forceState(sql, id, 'purging');
      await store.finishPurge({ ...fence, receipt: receiptOf(id), actor: ACTOR });
      const actions = (await store.auditOf(id)).map(({ action, reason }) => `${action} ${reason ?? ''}`.trim());
      expect(actions).toStrictEqual([
        'accepted accepted',
        'state:suspended paused_by_operator',
        'state:active reauthorized',
        'state:active late_reply',
        'read:records',
        'state:purged one_time_expired',
      ]);
      const receipt = await store.receipt(id);
      expect(receipt).toMatchObject({ link: { chain: RECEIPT_CHAIN, keyId: NOTARY.keyId } });
      await expectSound(store);
    });

    test('a write that loses, fails or changes nothing leaves none', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      const before = await store.chainHeads();
      await store.update({ ...fence, patch: { failedRuns: 1 }, actor: ACTOR });
      await store.update({ ...fence, fence: fence.fence - 1, patch: { state: 'suspended' }, actor: ACTOR });
      await expect(store.update({ ...fence, patch: { state: 'purged' }, actor: ACTOR })).rejects.toThrow();
      await expect(store.finishPurge({ ...fence, receipt: receiptOf(id), actor: ACTOR })).rejects.toThrow();
      expect(await store.chainHeads()).toStrictEqual(before);
    });

    test('any number of writers at once neither wait in a circle nor leave a gap', async () => {
      const { store, sql } = use();
      const ids = await Promise.all(Array.from({ length: 12 }, () => inserted(store)));
      await Promise.all(
        ids.map(async (id, index) => {
          const fence = await taken(store, id);
          // Events and links in one transaction, of many authorizations that share chains.
          await store.update({
            ...fence,
            patch: { state: 'needs_reauthorization', stateReason: 'revoked' },
            actor: ACTOR,
          });
          const next = { expectedVersion: 1, tokens: tokensOf(2), fingerprint: 'f', actor: ACTOR };
          await store.reauthorize({
            ...fence,
            ...next,
            patch: { state: 'active', stateReason: 'reauthorized', trouble: null },
          });
          await store.appendAudit({
            at: NOW,
            authorizationId: null,
            actor: ACTOR,
            action: `act-${index}`,
            reason: null,
          });
          await forceState(sql, id, 'purging');
          await store.finishPurge({ ...fence, receipt: receiptOf(id), actor: ACTOR });
        }),
      );
      await expectSound(store);
      for (const id of ids) expect(await store.auditOf(id)).toHaveLength(4);
    });

    test('a purge that is finished twice leaves one receipt and one link', async () => {
      const { store, sql } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      await forceState(sql, id, 'purging');
      const finish = () => store.finishPurge({ ...fence, receipt: receiptOf(id), actor: ACTOR });
      const results = await Promise.allSettled([finish(), finish()]);
      expect(results.map(({ status }) => status).sort()).toStrictEqual(['fulfilled', 'rejected']);
      expect((await store.auditOf(id)).filter(({ action }) => action === 'state:purged')).toHaveLength(1);
      await expectSound(store);
    });

    test('what is older than the chains is counted apart, and what slipped in later is found', async () => {
      const { store, sql } = use();
      const id = newId();
      await store.appendAudit({ at: NOW, authorizationId: id, actor: ACTOR, action: 'first', reason: null });
      const slip = (rowId: string) =>
        sql(
          `insert into perennial.audit (id, at, authorization_id, actor, action) overriding system value values (${rowId}, $1, $2, 'x', 'slipped')`,
          [NOW, id],
        );
      const before = (await store.chainHeads()).unlinked.entries;
      await slip('-7');
      await slip("nextval('perennial.audit_id_seq')");
      expect((await store.chainHeads()).unlinked.entries).toStrictEqual({
        before: before.before + 1,
        after: before.after + 1,
      });
      const unlinked = await store.auditPage({ chain: null, after: -100, limit: 500 });
      expect(unlinked.filter(({ authorizationId }) => authorizationId === id)).toHaveLength(2);
      expect(unlinked.every(({ link }) => link === null)).toBe(true);
      await asOwner(sql, ["delete from perennial.audit where action = 'slipped'"]);
    });

    test('receipts cannot be rewritten or deleted by a statement', async () => {
      const { sql } = use();
      for (const statement of [
        "update perennial.receipts set reason = 'x'",
        'delete from perennial.receipts',
        'truncate perennial.receipts',
      ]) {
        await expect(sql(statement)).rejects.toThrow('append-only');
      }
    });
  });

  tamperingContract(use);
}

/** What somebody with all rights on the database can do, and what the check then says. */
const TAMPERINGS: readonly (readonly [string, string, RegExp])[] = [
  ['an actor altered', "update perennial.audit set actor = 'nobody' where chain = :chain and seq = 2", /^altered 2$/],
  [
    'an instant moved by a millisecond',
    'update perennial.audit set at = at + 1 where chain = :chain and seq = 2',
    /^altered 2$/,
  ],
  ['an instant that is none', "update perennial.audit set at = 'NaN' where chain = :chain and seq = 2", /^altered 2$/],
  [
    'an authorization exchanged',
    "update perennial.audit set authorization_id = 'x' where chain = :chain and seq = 2",
    /^altered 2$/,
  ],
  ['a reason added', "update perennial.audit set reason = 'x' where chain = :chain and seq = 2", /^altered 2$/],
  ['a hash altered', "update perennial.audit set hash = 'x' where chain = :chain and seq = 2", /^altered 2$/],
  ['a signature altered', "update perennial.audit set signature = 'x' where chain = :chain and seq = 2", /^forged 2$/],
  ['an entry removed', 'delete from perennial.audit where chain = :chain and seq = 2', /^missing 2$/],
  [
    'an entry taken out of its chain',
    'update perennial.audit set chain = null, seq = null where chain = :chain and seq = 2',
    /^missing 2, unchained 0$/,
  ],
  ['the tail cut', 'delete from perennial.audit where chain = :chain and seq > 2', /^cut_off 3$/],
  [
    'two entries exchanged',
    `update perennial.audit as a set actor = b.actor, action = b.action, at = b.at, reason = b.reason, authorization_id = b.authorization_id
     from perennial.audit as b where a.chain = :chain and b.chain = :chain and a.seq in (2, 3) and b.seq = 5 - a.seq`,
    /^reordered 2, reordered 3$/,
  ],
  [
    'an entry put in',
    `insert into perennial.audit (at, actor, action, chain, seq, previous_hash, hash, signature, key_id)
     select at, actor, 'put in', chain, 100000, hash, hash, signature, key_id from perennial.audit where chain = :chain and seq = 2`,
    /altered 100000$/,
  ],
];

function tamperingContract(use: Use): void {
  describe('tampering with the database', () => {
    test.each(TAMPERINGS)('is found: %s', async (_what, statement, expected) => {
      const { store, sql } = use();
      const chain = auditChainOf(await fiveEntries(store));
      const heads = await marksOf(store);
      expect(await findingsOf(store, heads, [chain])).toStrictEqual([]);
      await asOwner(sql, [
        `create table perennial.kept as select * from perennial.audit where chain = '${chain}'`,
        statement.replaceAll(':chain', `'${chain}'`),
      ]);
      const found = (await findingsOf(store, heads, [chain])).join(', ');
      await asOwner(sql, [
        `delete from perennial.audit where chain = '${chain}' or (chain is null and id > 0)`,
        'insert into perennial.audit overriding system value select * from perennial.kept',
        'drop table perennial.kept',
      ]);
      expect(found).toMatch(expected);
      expect(await findingsOf(store, heads, [chain])).toStrictEqual([]);
    });

    test('is found in receipts, whichever column it is', async () => {
      const { store, sql } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      await forceState(sql, id, 'purging');
      await store.finishPurge({ ...fence, receipt: receiptOf(id), actor: ACTOR });
      const seq = (await store.receipt(id))?.link?.seq ?? 0;
      const heads = await marksOf(store);
      const ours = `authorization_id = '${id}'`;
      const putBack = [
        `delete from perennial.receipts where ${ours}`,
        'insert into perennial.receipts select * from perennial.kept',
      ];
      await asOwner(sql, [`create table perennial.kept as select * from perennial.receipts where ${ours}`]);
      for (const change of RECEIPT_CHANGES) {
        await asOwner(sql, [...putBack, `update perennial.receipts set ${change} where ${ours}`]);
        const found = await findingsOf(store, heads, [RECEIPT_CHAIN]);
        expect([change, found]).toStrictEqual([
          change,
          [expect.stringMatching(new RegExp(`^(?:altered|forged) ${seq}$`))],
        ]);
      }
      await asOwner(sql, [...putBack, 'drop table perennial.kept']);
      expect(await findingsOf(store, heads, [RECEIPT_CHAIN])).toStrictEqual([]);
    });
  });
}

const RECEIPT_CHANGES = [
  "reason = 'requested'",
  "reason = 'a word of nobody'",
  "source = 'x'",
  "network = 'x'",
  "usage = 'MULTIPLE'",
  'accepted_at = accepted_at + 1',
  'due_at = null',
  "purged_at = 'infinity'",
  "key_fingerprint = 'x'",
  "upstream = 'revoked'",
  `deleted = '{"tokens":9}'`,
  `deleted = '"nothing"'`,
  `findings = '{"key":"gone"}'`,
  "previous_hash = 'x'",
  "hash = 'x'",
  "signature = ''",
  "key_id = 'x'",
];

/** As somebody may who has all rights: the triggers do not hold. One statement, since the embedded driver takes no more. */
async function asOwner(sql: Sql, statements: readonly string[]): Promise<void> {
  const triggers = (word: string) =>
    ['audit', 'receipts'].map((table) => `alter table perennial.${table} ${word} trigger user`);
  await sql(`do $do$ begin ${[...triggers('disable'), ...statements, ...triggers('enable')].join('; ')}; end $do$`);
}

async function fiveEntries(store: Store): Promise<string> {
  const id = newId();
  for (let count = 1; count <= 5; count += 1) {
    await store.appendAudit({
      at: NOW + count,
      authorizationId: id,
      actor: ACTOR,
      action: `act-${count}`,
      reason: null,
    });
  }
  return id;
}

async function marksOf(store: Store): Promise<readonly Head[]> {
  return (await store.chainHeads()).heads;
}

async function reportOf(store: Store, heads: readonly Head[], chain: string): Promise<ChainReport> {
  const check = createChainCheck({ chain, marks: heads, verifier: NOTARY });
  for (let after = 0; ; ) {
    const page = { after, limit: PAGE };
    const found =
      chain === RECEIPT_CHAIN
        ? (await store.receiptPage(page)).map(checkableReceipt)
        : (await store.auditPage({ chain, ...page })).map(checkableEntry);
    for (const checkable of found) if (checkable !== null) check.take(checkable);
    after = found.at(-1)?.link.seq ?? after;
    if (found.length < PAGE) return check.end();
  }
}

async function findingsOf(store: Store, heads: readonly Head[], chains: readonly string[]): Promise<readonly string[]> {
  const reports: ChainReport[] = [];
  for (const chain of chains) reports.push(await reportOf(store, heads, chain));
  reports.push(unchainedOf({ chain: 'audit', unlinked: (await store.chainHeads()).unlinked.entries }));
  return reports.flatMap(({ findings }) => findings.map(({ kind, seq }) => `${kind} ${seq}`));
}

async function expectSound(store: Store): Promise<void> {
  expect(await findingsOf(store, await marksOf(store), [...AUDIT_CHAIN_NAMES, RECEIPT_CHAIN])).toStrictEqual([]);
}
