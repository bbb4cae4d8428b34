import { accept } from '../../../src/flows/accept.ts';
import { fetchOnce } from '../../../src/flows/fetch-once.ts';
import { withLease } from '../../../src/flows/lease.ts';
import { seededRng } from '../../../src/sandbox/random.ts';
import { until } from '../../support/system-until.ts';
import { type Link, requestOf } from '../../support/world.ts';
import type { PurgeOrder } from './orders.ts';
import { type Moment, STEPS, type Step } from './points.ts';
import type { PurgeStage } from './stage.ts';

/** One kill: where, and by which seed. */
export type PurgeKill = {
  readonly step: Step;
  readonly seed: number;
  readonly defect?: PurgeOrder['defect'];
  readonly moment?: Moment;
};

export type PurgeVerdict = PurgeKill & {
  readonly id: string;
  readonly moment: Moment;
  readonly detail: number;
  /** What was promised and not kept; empty when all is well. */
  readonly faults: readonly string[];
  /** From the kill to the receipt; null where the dead one had written it, or nobody did. */
  readonly purgedAfterMs: number | null;
};

const LOOK_EVERY_MS = 200;
/** Far above a dead holder's lease of 7 s, since the machine may stall. */
const PURGED_WITHIN_MS = 60_000;
const signal = new AbortController().signal;

/** Kills a worker in the middle of a purge, lets the survivor finish it, and looks what became of the authorization. */
export async function killPurge({
  stage,
  kill,
}: {
  readonly stage: PurgeStage;
  readonly kill: PurgeKill;
}): Promise<PurgeVerdict> {
  const { step, seed, defect = 'none' } = kill;
  const random = seededRng(`${seed}/${step}`);
  const moment = kill.moment ?? random.pick<Moment>(STEPS[step].moments);
  const detail = random.int(0, 1_000_000);
  const hand = await stage.hands.take();
  // A run that is tried once more is another authorization.
  const id = `${step}-${seed}-${stage.context.entropy.id()}`;
  const link = await fetchedOne({ stage, id });
  hand.order({ authorizationId: id, moment, detail, defect } satisfies PurgeOrder);
  const { at: killedAt } = await hand.says('struck');
  const { signal: how } = await hand.ended;
  if (how !== 'SIGKILL') throw new Error(`a worker process was not killed but ended by ${how}`);
  const faults = new Set<string>();
  const writtenBefore = await lookForBrokenWord({ stage, id, faults });
  stage.release(id);
  const purgedAt = await waitForPurge({ stage, id, faults });
  await lookAtTheEnd({ stage, id, link, faults });
  const purgedAfterMs = writtenBefore || purgedAt === null ? null : purgedAt - killedAt;
  return { ...kill, id, moment, detail, faults: [...faults], purgedAfterMs };
}

/** A ONE_TIME authorization that was fetched, whose end somebody has asked for, so that the source is asked too; nobody has begun it. */
async function fetchedOne({ stage, id }: { readonly stage: PurgeStage; readonly id: string }): Promise<Link> {
  const { context, world } = stage;
  const link = await world.link({ usage: 'ONE_TIME', exchanged: true, size: 1 });
  await accept({ context, request: requestOf(link, { id, usage: 'ONE_TIME' }), actor: 'test' });
  const fetched = await fetchOnce({ context, authorizationId: id, signal });
  if (fetched.kind !== 'done' || fetched.reason !== 'fetched')
    throw new Error(`not fetched: ${JSON.stringify(fetched)}`);
  const patch = { purgeDueAt: context.clock.now(), purgeReason: 'requested' } as const;
  await withLease({ context, authorizationId: id, signal }, ({ fence }) =>
    context.store.update({ ...fence, patch, actor: 'test' }),
  );
  return link;
}

/** The receipt first and then the key: between the two looks a key can only go. */
async function lookForBrokenWord({
  stage: { context },
  id,
  faults,
}: {
  readonly stage: PurgeStage;
  readonly id: string;
  readonly faults: Set<string>;
}): Promise<boolean> {
  const receipt = await context.store.receipt(id);
  const purged = (await context.store.get(id))?.state === 'purged';
  if ((receipt !== null || purged) && (await context.vault.has(id))) faults.add('a receipt while the key exists');
  return receipt !== null;
}

async function waitForPurge({
  stage,
  id,
  faults,
}: {
  readonly stage: PurgeStage;
  readonly id: string;
  readonly faults: Set<string>;
}): Promise<number | null> {
  const look = async (): Promise<string | undefined> => {
    await lookForBrokenWord({ stage, id, faults });
    return (await stage.context.store.get(id))?.state;
  };
  try {
    await until(`${id} is purged`, look, (state) => state === 'purged', {
      capMs: PURGED_WITHIN_MS,
      everyMs: LOOK_EVERY_MS,
    });
    return Date.now();
  } catch {
    faults.add('not purged');
    return null;
  }
}

async function lookAtTheEnd({
  stage: { context, world, sql },
  id,
  link,
  faults,
}: {
  readonly stage: PurgeStage;
  readonly id: string;
  readonly link: Link;
  readonly faults: Set<string>;
}): Promise<void> {
  const { store, vault, queue } = context;
  const receipts = await sql('select 1 from perennial.receipts where authorization_id = $1', [id]);
  if (receipts.length !== 1) faults.add(`${receipts.length} receipts`);
  const ends = (await store.auditOf(id)).filter(({ action }) => action === 'state:purged');
  if (ends.length !== 1) faults.add(`${ends.length} audit entries of the end`);
  const left = await store.leftOf(id);
  if (left.tokens + left.records > 0) faults.add('rows left');
  if (await vault.has(id)) faults.add('key left');
  if ((await queue.traces(id)) > 0) faults.add('queue names it');
  // A job that comes late, as one of a worker that was frozen.
  await fetchOnce({ context, authorizationId: id, signal });
  const ours = world.seen.filter(({ authorizationId }) => authorizationId === link.authorizationId);
  const fetches = ours.filter(({ path }) => path.includes('$everything'));
  if (fetches.length !== 1) faults.add(`${fetches.length} fetches`);
  const revocations = ours.filter(({ path }) => path.endsWith('/link/revoke'));
  if (revocations.length === 0) faults.add('never revoked at the source');
}
