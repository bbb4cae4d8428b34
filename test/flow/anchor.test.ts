import { expect, onTestFinished, test } from 'vitest';
import { openPostgresStore } from '../../src/adapters/store/postgres.ts';
import { openFileVault } from '../../src/adapters/vault/file.ts';
import { anchorHeads } from '../../src/flows/anchor.ts';
import { keyringOf, newKek } from '../contract/vault/samples.ts';
import { NO_POSTGRES, postgresForTests, temporaryFolder } from '../support/databases.ts';
import { notaryOf } from '../support/notary.ts';
import { createLogMemory } from '../support/web.ts';

const AT = Date.UTC(2026, 6, 1);
const postgres = await postgresForTests();
const what = postgres === null ? ` ${NO_POSTGRES}` : '';

test.skipIf(postgres === null)(
  `the heads are noted apart from the database, and where a noted link is gone the note stays${what}`,
  async () => {
    if (postgres === null) return;
    const folder = await temporaryFolder();
    onTestFinished(folder.remove);
    const { databaseUrl, sql, drop } = await postgres.createDatabase();
    onTestFinished(drop);
    const store = await openPostgresStore({ databaseUrl, poolSize: 2, now: () => AT, notary: notaryOf() });
    onTestFinished(store.close);
    const vault = await openFileVault({ directory: folder.path, keyring: keyringOf(newKek()) });
    const { log, lines } = createLogMemory();
    const anchor = () => anchorHeads({ store, vault, log });
    const write = (action = 'first') =>
      store.appendAudit({ at: AT, authorizationId: null, actor: 'x', action, reason: null });
    const headOf = async () => (await store.chainHeads()).heads.find(({ chain }) => chain === 'audit-0');
    for (let count = 0; count < 3; count += 1) await write();
    await anchor();
    const third = await headOf();
    expect(await vault.anchors()).toStrictEqual([third]);
    expect(third).toMatchObject({ seq: 3 });
    await write();
    await anchor();
    expect(await vault.anchors()).toStrictEqual([await headOf()]);

    // Back to what a copy of the database knew, and on from there.
    const noted = await vault.anchors();
    await sql('alter table perennial.audit disable trigger user');
    await sql('delete from perennial.audit where seq > 2');
    await sql(
      "update perennial.chain_heads set seq = 2, hash = (select hash from perennial.audit where seq = 2) where chain = 'audit-0'",
    );
    for (let count = 0; count < 5; count += 1) {
      await anchor();
      await write('second');
    }
    await anchor();
    expect(await vault.anchors()).toStrictEqual(noted);
    expect(await headOf()).toMatchObject({ seq: 7 });
    expect(lines.at(-1)).toMatchObject({ level: 'error', event: 'chain_cut', fields: { reason: 'audit-0', count: 4 } });
  },
);
