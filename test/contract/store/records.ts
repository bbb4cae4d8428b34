import { describe, expect, test } from 'vitest';
import { PerennialError } from '../../../src/core/errors.ts';
import { bytes, everythingOf, inserted, NOW, taken, type Use } from './samples.ts';

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
        expect(await store.commitRecords({ ...fence, packs, manifest, change: null })).toBe('committed');
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
          const manifest = { key: 'Patient', sealed: bytes() };
          await store.commitRecords({ ...held, packs: [], manifest, change: { at: NOW + index, sealed: one } });
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

    test('a commit of which one row fails leaves none, and the error says nothing of what was in it', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      const packs = [
        { id: 'secret-name', sealed: bytes() },
        { id: 'secret-name', sealed: bytes() },
      ];
      const value = { ...fence, packs, manifest: { key: 'Patient', sealed: bytes() }, change: null };
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
