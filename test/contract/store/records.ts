import { describe, expect, test } from 'vitest';
import { PerennialError } from '../../../src/core/errors.ts';
import { bytes, commitOf, everythingOf, inserted, NOW, newId, taken, type Use } from './samples.ts';

const LARGE_BYTES = 3 * 1024 * 1024;

export function recordsContract(use: Use): void {
  describe('records', () => {
    test('packs, the newest manifest of each key and changes come back byte by byte', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      const large = new Uint8Array(LARGE_BYTES).map((_, index) => index % 251);
      const manifests = [
        { key: 'Patient', sealed: bytes() },
        { key: 'Coverage', sealed: bytes() },
        { key: 'Patient', sealed: bytes() },
      ];
      for (const [index, manifest] of manifests.entries()) {
        const packs = index === 0 ? [{ id: 'p', sealed: large }] : [];
        expect(await store.commitRecords({ ...fence, ...commitOf({ packs, manifests: [manifest] }) })).toBe(
          'committed',
        );
      }
      expect(await store.manifests(id)).toStrictEqual([manifests[1], manifests[2]]);
      expect(Buffer.compare((await store.pack({ authorizationId: id, id: 'p' })) ?? bytes(), large)).toBe(0);
      expect(await store.pack({ authorizationId: id, id: 'q' })).toBeNull();
      expect(await store.changes({ authorizationId: id, after: 0, limit: 9 })).toStrictEqual([]);
    });

    test('changes are read in order from any cursor, each authorization by itself', async () => {
      const { store } = use();
      const ids = [await inserted(store), await inserted(store)];
      const sealed = Array.from({ length: 5 }, () => bytes());
      for (const [index, one] of sealed.entries()) {
        for (const id of ids) {
          const held = index === 0 ? await taken(store, id) : { authorizationId: id, fence: 1 };
          const changes = [{ at: NOW + index, sealed: one }];
          await store.commitRecords({ ...held, ...commitOf({ changes }) });
        }
      }
      for (const authorizationId of ids) {
        const first = await store.changes({ authorizationId, after: 0, limit: 2 });
        const rest = await store.changes({ authorizationId, after: first.at(-1)?.cursor ?? 0, limit: 9 });
        const all = [...first, ...rest];
        expect(first).toHaveLength(2);
        expect(all.map((change) => change.sealed)).toStrictEqual(sealed);
        expect(all.map((change) => change.at)).toStrictEqual(sealed.map((_, index) => NOW + index));
        const cursors = all.map(({ cursor }) => cursor);
        expect(cursors).toStrictEqual([...new Set(cursors)].sort((left, right) => left - right));
      }
    });

    test('the records of one instant come with the cursor of the newest change in them, each authorization by itself', async () => {
      const { store } = use();
      const [id, other] = [await inserted(store), await inserted(store)];
      const [fence, theirs] = [await taken(store, id), await taken(store, other)];
      expect(await store.recordsNow(id)).toStrictEqual({ manifests: [], cursor: 0 });
      const manifests = [{ key: 'Patient', sealed: bytes() }];
      await store.commitRecords({ ...fence, ...commitOf({ manifests }) });
      expect(await store.recordsNow(id)).toStrictEqual({ manifests, cursor: 0 });
      const changes = [0, 1].map((later) => ({ at: NOW + later, sealed: bytes() }));
      await store.commitRecords({ ...fence, ...commitOf({ changes }) });
      await store.commitRecords({ ...theirs, ...commitOf({ manifests, changes }) });
      const newest = (await store.changes({ authorizationId: id, after: 0, limit: 9 })).at(-1)?.cursor;
      expect(await store.recordsNow(id)).toStrictEqual({ manifests, cursor: newest });
      expect((await store.recordsNow(other)).cursor).toBeGreaterThan(newest ?? Number.POSITIVE_INFINITY);
    });

    test('the journal of a pull grows with its checkpoints, in their order, and only its state is left when it has ended', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      expect(await store.pullJournal(id)).toStrictEqual({ state: null, pages: [] });
      const journals = Array.from({ length: 3 }, () => ({ state: bytes(), page: bytes(), ended: false }));
      for (const journal of journals) await store.commitRecords({ ...fence, ...commitOf({ journal }) });
      expect(await store.pullJournal(id)).toStrictEqual({
        state: journals.at(-1)?.state,
        pages: journals.map(({ page }) => page),
      });
      const last = { state: bytes(), page: null, ended: true };
      await store.commitRecords({ ...fence, ...commitOf({ journal: last }) });
      expect(await store.pullJournal(id)).toStrictEqual({ state: last.state, pages: [] });
    });

    test('packs of which nothing is alive go with the commit that names them, and no others', async () => {
      const { store } = use();
      const [id, other] = [await inserted(store), await inserted(store)];
      const [fence, theirs] = [await taken(store, id), await taken(store, other)];
      const packs = ['p', 'q'].map((name) => ({ id: name, sealed: bytes() }));
      for (const holder of [fence, theirs]) await store.commitRecords({ ...holder, ...commitOf({ packs }) });
      await store.commitRecords({ ...fence, ...commitOf({ droppedPacks: ['p', 'never'] }) });
      expect(await store.pack({ authorizationId: id, id: 'p' })).toBeNull();
      expect(await store.pack({ authorizationId: id, id: 'q' })).not.toBeNull();
      expect(await store.pack({ authorizationId: other, id: 'p' })).not.toBeNull();
    });

    test('what a source can do is remembered, and replaced by what it says later', async () => {
      const { store } = use();
      const source = `source-${newId()}`;
      expect(await store.sourceAbilities(source)).toBeNull();
      for (const lastUpdated of [['Patient'], ['Coverage', 'Observation']]) {
        const abilities = { lastUpdated };
        await store.rememberAbilities({ source, learnedAt: NOW, abilities });
        expect(await store.sourceAbilities(source)).toStrictEqual({ learnedAt: NOW, abilities });
      }
    });

    test('a commit of which one row fails leaves none, and the error says nothing of what was in it', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      const packs = [
        { id: 'secret-name', sealed: bytes() },
        { id: 'secret-name', sealed: bytes() },
      ];
      const value = { ...fence, ...commitOf({ packs, manifests: [{ key: 'Patient', sealed: bytes() }] }) };
      const before = await everythingOf(store, id);
      const error: unknown = await store.commitRecords(value).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(PerennialError);
      expect(error).toMatchObject({ code: 'internal' });
      expect(Object(error)).not.toHaveProperty('cause');
      expect(`${error} ${JSON.stringify(error)}`).not.toContain('secret-name');
      expect(await everythingOf(store, id)).toStrictEqual(before);
      expect(await store.pack({ authorizationId: id, id: 'secret-name' })).toBeNull();
    });
  });
}
