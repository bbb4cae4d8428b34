import { expect, test } from 'vitest';
import type { Verdict } from '../../../src/contract/records.ts';
import { PerennialError } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { withLease } from '../../../src/flows/lease.ts';
import { openJournal } from '../../../src/flows/pull-journal.ts';
import { openRecordWriter } from '../../../src/flows/record-writer.ts';
import { nameOf, pull, pulled } from '../../support/pulled.ts';
import type { System } from '../../support/system.ts';
import { until } from '../../support/system-until.ts';
import type { Stage } from '../system.contract.ts';

const actor = 'test';
const LEASE_MS = 60_000;

/** An operator's word on removals that are held as suspected. */
export function settlesSuspicions(stage: () => Stage): void {
  settlesBesideACutPull(stage);

  test('removals that are suspected wait for a word: one removes them through the feed, the other keeps them', async () => {
    const { system, world } = stage();
    const id = 'suspected';
    const patient = await pulled({ stage: stage(), id, size: 60 });
    const { removed } = await world.change(patient, { remove: 40 });
    await pull(system, id);
    const suspects = await suspectsOf(system, id);
    const [gone = '', kept = ''] = [...suspects.keys()];
    expect([gone, kept]).not.toContain('');
    const namesOf = (type: string) => removed.filter((name) => name.startsWith(`${type}/`));
    const before = await system.changes(id);
    expect(before.removed).toEqual(removed.filter((name) => !suspects.has(name.split('/')[0] ?? '')));
    expect(suspects.get(gone)).toBe(namesOf(gone).length);

    const lease = { authorizationId: id, owner: 'another', leaseMs: LEASE_MS };
    const fence = await until(
      'the lease',
      () => system.context.store.takeLease(lease),
      (held) => held !== null,
    );
    const word = { id, actor: 'service:operator', resourceType: gone, verdict: 'removed' } as const;
    await expect(system.service.settleSuspected(word)).rejects.toMatchObject({ code: 'lease_taken' });
    if (fence !== null) await system.context.store.releaseLease({ ...fence, owner: 'another' });

    expect(await settle(system, { id, resourceType: gone, verdict: 'removed' })).toBe(namesOf(gone).length);
    const after = await system.changes(id);
    expect(new Set(after.removed.slice(before.removed.length))).toEqual(new Set(namesOf(gone)));
    expect(await settle(system, { id, resourceType: kept, verdict: 'kept' })).toBe(namesOf(kept).length);
    expect((await system.changes(id)).removed).toEqual(after.removed);
    const left = await suspectsOf(system, id);
    expect([left.has(gone), left.has(kept)]).toEqual([false, false]);
    const stored = (await system.records(id)).map(nameOf);
    expect(namesOf(kept).filter((name) => !stored.includes(name))).toEqual([]);
    expect(namesOf(gone).filter((name) => stored.includes(name))).toEqual([]);
    await expect(system.service.settleSuspected(word)).rejects.toMatchObject({ code: 'nothing_suspected' });
    const said = (await system.context.store.auditOf(id)).filter(({ action }) => action === 'suspected');
    expect(said.map((entry) => [entry.actor, entry.reason])).toEqual([
      ['service:operator', 'removed'],
      ['service:operator', 'kept'],
    ]);

    // What was kept is suspected anew by the next full pull, and what was removed is not.
    await pull(system, id);
    const anew = await suspectsOf(system, id);
    expect([anew.has(gone), anew.get(kept)]).toEqual([false, namesOf(kept).length]);
    await system.purge(id);
  });
}

function settlesBesideACutPull(stage: () => Stage): void {
  test('a word said while a pull is cut off in its middle takes nothing away that this pull has seen or stored', async () => {
    const { system, world } = stage();
    const id = 'suspected-cut';
    const patient = await pulled({ stage: stage(), id, size: 60 });
    const { removed } = await world.change(patient, { remove: 40 });
    await pull(system, id);
    const suspects = await suspectsOf(system, id);
    const [resourceType, count] = [...suspects].find(([, many]) => many > 1) ?? ['', 0];
    const back = removed.find((name) => name.startsWith(`${resourceType}/`)) ?? '';
    const line = (await system.records(id)).find((one) => nameOf(one) === back) ?? '';
    const seen = line.replace('{', '{"language":"en",');
    await cutPull({ system, id, line: seen });

    expect(await settle(system, { id, resourceType, verdict: 'removed' })).toBe(count - 1);
    expect(await system.records(id)).toContain(line);
    await pull(system, id);
    const stored = await system.records(id);
    expect(stored).toContain(seen);
    expect(stored.map(nameOf)).toEqual(expect.arrayContaining((await world.records(patient)).map(nameOf)));
    await system.purge(id);
  });
}

/** Leaves what a process leaves that was killed after its first checkpoint, in which it had seen one resource again. */
async function cutPull({
  system: { context },
  id,
  line,
}: {
  readonly system: System;
  readonly id: string;
  readonly line: string;
}): Promise<void> {
  const { signal } = new AbortController();
  const cut = () =>
    withLease({ context, authorizationId: id, signal }, async (held) => {
      const key = await context.vault.open(id);
      const journal = await openJournal({ context, key, authorizationId: id });
      const writer = await openRecordWriter({ context, held, key, authorizationId: id, journal, resumed: null });
      const [type = '', name = ''] = nameOf(line).split('/');
      await writer.offer({ type, id: name, bytes: new TextEncoder().encode(line) });
      const plan = [{ type: null, since: null }];
      const running = {
        id: 'cut',
        startedAt: context.clock.now(),
        plan,
        results: [],
        next: null,
        entries: 0,
        total: 0,
      };
      const { patients } = journal.state;
      return writer.checkpoint({ running, patients, isWhole: true, readBytes: LIMITS.checkpointBytes });
    });
  const written = await until('the lease to cut', cut, ({ kind }) => kind === 'held');
  expect(written).toEqual({ kind: 'held', value: 'committed' });
}

/** A word that is said again while a run holds the lease. */
async function settle(
  { service }: System,
  word: { readonly id: string; readonly resourceType: string; readonly verdict: Verdict },
): Promise<number | null> {
  const say = async (): Promise<number | null> => {
    try {
      return (await service.settleSuspected({ ...word, actor: 'service:operator' })).count;
    } catch (error) {
      if (error instanceof PerennialError && error.code === 'lease_taken') return null;
      throw error;
    }
  };
  return until('the lease for a word', say, (count) => count !== null);
}

async function suspectsOf({ service }: System, id: string): Promise<ReadonlyMap<string, number>> {
  const { types } = await service.types({ id, actor });
  return new Map(
    types.flatMap(({ resourceType, suspected }) => (suspected === null ? [] : [[resourceType, suspected.count]])),
  );
}
