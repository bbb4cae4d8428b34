import type { SettledView, Verdict } from '../contract/records.ts';
import { PerennialError } from '../core/errors.ts';
import { type PullState, stillSuspected } from '../core/pull-state.ts';
import { commitPublication } from './commit-publication.ts';
import { compact } from './compact.ts';
import { type Held, withLease } from './lease.ts';
import { openManifests } from './manifest.ts';
import { assertReadable, type Reader } from './open-for-reading.ts';
import { createPackWriter } from './pack-writer.ts';
import { createPackReader } from './packs.ts';
import { openJournal } from './pull-journal.ts';
import { createShelves } from './shelf.ts';

type Settling = Reader & { readonly resourceType: string; readonly verdict: Verdict };

/**
 * An operator's word on the removals of a type that are held as suspected: `removed` publishes them now, through the feed; `kept` drops the suspicion, until
 * a later full pull misses them again.
 * @throws PerennialError `nothing_suspected`, and `lease_taken` while a pull or another run is under way.
 */
export async function settleSuspected(settling: Settling): Promise<SettledView> {
  const { context, authorizationId, resourceType, verdict } = settling;
  await assertReadable(settling);
  const signal = new AbortController().signal;
  const outcome = await withLease({ context, authorizationId, signal }, (held) => settle({ ...settling, held }));
  if (outcome.kind === 'taken') throw new PerennialError('lease_taken');
  const count = outcome.value;
  if (verdict === 'removed') context.metrics.records({ added: 0, modified: 0, removed: count });
  context.log.info('suspicion_settled', { authorizationId, reason: verdict, count });
  return { resourceType, verdict, count };
}

async function settle({
  context,
  authorizationId,
  actor,
  resourceType: type,
  verdict,
  held,
}: Settling & { readonly held: Held }): Promise<number> {
  const key = await context.vault.open(authorizationId);
  const journal = await openJournal({ context, key, authorizationId });
  const { state, pages } = journal;
  const known = state.types[type];
  // What a pull that was cut off has seen again is not gone, whatever is said of it.
  const seen = new Set(pages.flatMap((page) => page.seen[type] ?? []));
  const suspects = stillSuspected({ suspects: known?.suspects ?? null, isSeen: (id) => seen.has(id) });
  if (known === undefined || suspects === null) throw new PerennialError('nothing_suspected');
  const at = context.clock.now();
  await context.store.appendAudit({ at, authorizationId, actor, action: 'suspected', reason: verdict });
  const shelves = createShelves({
    stored: await openManifests({ context, key, authorizationId }),
    pages: [],
    resumed: null,
  });
  const shelf = shelves.of(type);
  const removed = verdict === 'removed' ? suspects.ids.filter((id) => shelf.manifest.remove(id)) : [];
  shelf.dirty = removed.length > 0;
  const packs = createPackWriter({ context, key });
  // Packs of a pull that was cut off are in no manifest yet, and would look dead.
  const isQuiet = state.running === null && pages.length === 0;
  const read = createPackReader({ context, key, authorizationId });
  const droppedPacks =
    shelf.dirty && isQuiet ? await compact({ shelves: shelves.all(), sizes: state.packs, packs, read }) : [];
  const sizes = Object.entries({ ...state.packs, ...packs.sizes() }).filter(([id]) => !droppedPacks.includes(id));
  const types = { ...state.types, [type]: { ...known, suspects: null } };
  const next: PullState = { ...state, types, packs: Object.fromEntries(sizes) };
  const lists = [{ type, added: [], modified: [], removed }];
  const parts = { context, held, key, shelves: shelves.all(), packs, droppedPacks, lists, state: next };
  const written = await commitPublication({ ...parts, ended: false });
  if (written === 'superseded') throw new PerennialError('superseded');
  return verdict === 'removed' ? removed.length : suspects.ids.length;
}
