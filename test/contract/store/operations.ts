import { describe, expect, test } from 'vitest';
import { ACTOR, inserted, NOW, newId, taken, type Use } from './samples.ts';

export function operationsContract(use: Use): void {
  describe('operations', () => {
    test('it answers', async () => {
      await expect(use().store.ping()).resolves.toBeUndefined();
    });

    test('audit entries come back in the order they were made', async () => {
      const { store } = use();
      const authorizationId = newId();
      const entries = [3, 1, 2].map((offset) => ({
        at: NOW + offset,
        authorizationId,
        actor: ACTOR,
        action: `act-${offset}`,
        reason: offset === 1 ? null : 'because',
      }));
      for (const entry of entries) await store.appendAudit(entry);
      await store.appendAudit({ at: NOW, authorizationId: null, actor: ACTOR, action: 'start', reason: null });
      expect(await store.auditOf(authorizationId)).toStrictEqual(entries);
    });

    test.each([
      "update perennial.audit set reason = 'rewritten'",
      'delete from perennial.audit',
      'truncate perennial.audit',
    ])('the audit trail refuses: %s', async (statement) => {
      const { store, sql } = use();
      const id = await inserted(store);
      await expect(sql(statement)).rejects.toThrow('append-only');
      expect(await store.auditOf(id)).toMatchObject([{ action: 'accepted', reason: 'accepted' }]);
    });

    test('moves are dated by the clock that the store was given', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      await store.update({ ...fence, patch: { state: 'suspended', stateReason: 'paused_by_operator' }, actor: ACTOR });
      expect((await store.auditOf(id)).at(-1)?.at).toBe(NOW + 1_000);
    });

    test('a database of a newer version is refused, one of this version is left as it is', async () => {
      const { store, sql, migrateAgain } = use();
      const id = await inserted(store);
      await sql("insert into perennial.schema_migrations values ('9999_from_the_future', 'now')");
      await expect(migrateAgain()).rejects.toMatchObject({ code: 'database_newer' });
      await sql("delete from perennial.schema_migrations where name = '9999_from_the_future'");
      await migrateAgain();
      expect(await store.get(id)).not.toBeNull();
    });

    test('every table is in the schema of its own', async () => {
      const rows = await use().sql(
        "select schemaname || '.' || tablename as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema', 'perennial')",
      );
      expect(rows).toStrictEqual([]);
    });
  });
}
