import { expect, test } from 'vitest';
import type { RecordsRead } from '../../../src/contract/records.ts';
import { createService } from '../../../src/flows/serve.ts';
import { pull, pulled } from '../../support/pulled.ts';
import type { System } from '../../support/system.ts';
import { sortedRecords } from '../../support/world.ts';
import type { Stage } from '../system.contract.ts';

const actor = 'test';

/** Reading what is stored. */
export function readsWhatIsStored(stage: () => Stage): void {
  test('a read says the cursor it is as of, and the changes after that cursor are all that it lacks', async () => {
    const { system, world } = stage();
    const id = 'read-as-of';
    const patient = await pulled({ stage: stage(), id, size: 40 });
    const first = await system.service.records({ id, actor });
    const listed = await system.service.changes({ id, actor, after: 0, limit: 500 });
    expect(first.cursor).toBe(listed.at(-1)?.cursor);
    expect(await linesOf(first)).toEqual(await world.records(patient));
    const again = await system.service.records({ id, actor, asOf: first.cursor });
    expect(await linesOf(again)).toEqual(await world.records(patient));

    const changed = await world.change(patient, { add: 2, edit: 1 });
    await pull(system, id);
    const later = await system.service.changes({ id, actor, after: first.cursor, limit: 500 });
    const names = later.flatMap(({ resourceType, added, modified }) =>
      [...added, ...modified].map((one) => `${resourceType}/${one}`),
    );
    expect(new Set(names)).toEqual(new Set([...changed.added, ...changed.edited]));
    const moved = { code: 'cursor_moved' };
    await expect(system.service.records({ id, actor, asOf: first.cursor })).rejects.toMatchObject(moved);
    const inBetween = (listed.at(-1)?.cursor ?? 0) - 1;
    await expect(system.service.records({ id, actor, asOf: inBetween })).rejects.toMatchObject(moved);
    expect((await system.service.records({ id, actor })).cursor).toBe(later.at(-1)?.cursor);
    await system.purge(id);
  });

  test('a read of some types has those alone, and every read is in the audit trail', async () => {
    const { system, world } = stage();
    const id = 'read-types';
    const patient = await pulled({ stage: stage(), id, size: 40 });
    const { resources } = await system.service.records({ id, actor, types: ['Patient', 'Coverage'] });
    const seen = new Set<string>();
    for await (const { type } of resources) seen.add(type);
    expect(seen).toEqual(new Set(['Patient', 'Coverage']));
    const { types } = await system.service.types({ id, actor });
    expect(types.length).toBeGreaterThan(2);
    expect(types.reduce((total, { held }) => total + held, 0)).toBe((await world.records(patient)).length);
    const audit = await system.context.store.auditOf(id);
    const reads = audit.filter((entry) => entry.action.startsWith('read:') && entry.actor === actor);
    expect(reads.map(({ action }) => action)).toEqual(['read:records', 'read:types']);
    await system.purge(id);
  });

  test('a read under way when a pull clears its packs away goes on with what it has not sent, each resource once', async () => {
    const { system, world } = stage();
    const id = 'read-compacted';
    const patient = await pulled({ stage: stage(), id, size: 40 });
    const { service, gone } = watching(system);
    const read = await service.records({ id, actor });
    // Most of the one pack that the read is about to open dies, so that the pull moves the rest out of it.
    await world.change(patient, { edit: 35 });
    await pull(system, id);
    expect(await linesOf(read)).toEqual(await world.records(patient));
    expect(gone()).toBeGreaterThan(0);
    await system.purge(id);
  });

  test('a read whose packs are nowhere, or purged, fails in the middle; it never just ends', async () => {
    const { system } = stage();
    const id = 'read-purged';
    await pulled({ stage: stage(), id, size: 40 });
    const { store } = system.context;
    const lost = createService({ ...system.context, store: { ...store, pack: async () => null } });
    await expect(linesOf(await lost.records({ id, actor }))).rejects.toMatchObject({ code: 'internal', field: 'pack' });
    const read = await system.service.records({ id, actor });
    await system.purge(id);
    await system.reaches(id, 'purged', ({ state }) => state === 'purged');
    await expect(linesOf(read)).rejects.toMatchObject({ code: 'authorization_ended' });
  });
}

/** The same system, counting the packs that were not there any more. */
function watching({ context }: System): { readonly service: System['service']; readonly gone: () => number } {
  let gone = 0;
  const pack: typeof context.store.pack = async (wanted) => {
    const found = await context.store.pack(wanted);
    if (found === null) gone += 1;
    return found;
  };
  return { service: createService({ ...context, store: { ...context.store, pack } }), gone: () => gone };
}

async function linesOf({ resources }: RecordsRead): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const { bytes } of resources) lines.push(Buffer.from(bytes).toString());
  return sortedRecords(lines);
}
