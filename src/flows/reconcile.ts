import { LIMITS } from '../core/limits.ts';
import type { Found, Held, QueueCensus } from '../core/ports/census.ts';
import { decideFound, decideRepairs, type Plan, type Repair, type Wanted, wantedOf } from '../core/reconcile.ts';
import { slotOf } from '../core/slot.ts';
import type { Context } from './context.ts';
import { repairAll } from './repair.ts';

/** Where a pass stands: first all authorizations, against what the queue holds of them; then all that the queue holds, against the store. */
export type PassPlace = { readonly part: 'authorizations' | 'queue'; readonly after: string | null };

/** One page of a pass: what was looked at, what was repaired, and where to go on; null at the end. */
export type PassPage = { readonly looked: number; readonly repaired: number; readonly next: PassPlace | null };

export type Reconciling = { readonly context: Context; readonly census: QueueCensus; readonly signal: AbortSignal };

/** Where a pass begins. */
export const PASS_START: PassPlace = { part: 'authorizations', after: null };

/**
 * Looks at one page and repairs what differs. Where that is little it is looked at a second time first, since a flow may stand between its store and its queue.
 * Repeated or done by two at once it does no harm: repairs leave alone what is as it should be, and none of them runs an authorization.
 */
export async function reconcilePage({ at, ...parts }: Reconciling & { readonly at: PassPlace }): Promise<PassPage> {
  return at.part === 'authorizations'
    ? authorizationsPage({ ...parts, after: at.after })
    : queuePage({ ...parts, after: at.after });
}

async function authorizationsPage({
  context,
  census,
  signal,
  after,
}: Reconciling & { readonly after: string | null }): Promise<PassPage> {
  const { store } = context;
  const plans = await store.plans({ after, limit: LIMITS.reconcilePageSize });
  const last = plans.length < LIMITS.reconcilePageSize ? undefined : plans.at(-1);
  const next: PassPlace =
    last === undefined ? { part: 'queue', after: null } : { part: 'authorizations', after: last.id };
  const judge = async (some: readonly Plan[]): Promise<readonly Repair[]> => {
    const held = await census.look(some.map(({ id }) => id));
    return some.flatMap((plan) => repairsOf({ context, plan, held: held.get(plan.id) }));
  };
  const seen = await judge(plans);
  const again = async () => judge(await store.plansOf(idsOf(seen)));
  const sure = await confirmed({ context, signal, seen, looked: plans.length, again });
  return { looked: plans.length, repaired: await repairAll({ context, census, signal, repairs: sure }), next };
}

async function queuePage({
  context,
  census,
  signal,
  after,
}: Reconciling & { readonly after: string | null }): Promise<PassPage> {
  // The queue first and the store after it: what is in the queue by now was in the store before.
  const page = await census.walk(after);
  const judge = async (): Promise<readonly Repair[]> => {
    const plans = await context.store.plansOf([...new Set(page.found.map(({ authorizationId }) => authorizationId))]);
    const byId = new Map(plans.map((plan) => [plan.id, plan]));
    return page.found.flatMap((found) => repairOf({ context, found, plan: byId.get(found.authorizationId) }));
  };
  const seen = page.found.length === 0 ? [] : await judge();
  const sure = await confirmed({ context, signal, seen, looked: page.found.length, again: judge });
  const repaired = await repairAll({ context, census, signal, repairs: sure });
  return {
    looked: page.found.length,
    repaired,
    next: page.after === null ? null : { part: 'queue', after: page.after },
  };
}

/** What is still wrong after a moment. Much that is wrong needs no second look: no flow leaves that behind. */
async function confirmed({
  context,
  signal,
  seen,
  looked,
  again,
}: Pick<Reconciling, 'context' | 'signal'> & {
  readonly seen: readonly Repair[];
  readonly looked: number;
  readonly again: () => Promise<readonly Repair[]>;
}): Promise<readonly Repair[]> {
  if (seen.length === 0 || isMuch({ repaired: seen.length, looked })) return seen;
  await context.clock.sleep(LIMITS.reconcileConfirmMs, signal);
  if (signal.aborted) return [];
  const before = new Set(seen.map(keyOf));
  return (await again()).filter((repair) => before.has(keyOf(repair)));
}

/** Whether so much of a page is wrong that it is no accident; a few are never much. */
export function isMuch({ repaired, looked }: Pick<PassPage, 'repaired' | 'looked'>): boolean {
  return repaired > Math.max(LIMITS.reconcileFewMax, looked * LIMITS.reconcileMuchDriftShare);
}

function idsOf(repairs: readonly Repair[]): readonly string[] {
  return [...new Set(repairs.map(({ authorizationId }) => authorizationId))];
}

function keyOf(repair: Repair): string {
  const job = repair.kind === 'drop' ? repair.jobId : repair.kind === 'add' ? repair.queue : '';
  return `${repair.authorizationId} ${repair.reason} ${job}`;
}

function repairsOf({
  context,
  plan,
  held = { scheduler: null, pending: { kind: 'gone' }, jobs: [] },
}: {
  readonly context: Context;
  readonly plan: Plan;
  readonly held: Held | undefined;
}): readonly Repair[] {
  return decideRepairs({ wanted: wantedNow({ context, plan }), held, now: context.clock.wallNow() });
}

function repairOf({
  context,
  found,
  plan,
}: {
  readonly context: Context;
  readonly found: Found;
  readonly plan: Plan | undefined;
}): readonly Repair[] {
  const wanted = plan === undefined ? null : wantedNow({ context, plan });
  const repair = decideFound({ found, wanted, now: context.clock.wallNow() });
  return repair === null ? [] : [repair];
}

function wantedNow({ context: { clock }, plan }: { readonly context: Context; readonly plan: Plan }): Wanted {
  const { id, periodMs, phase } = plan;
  const now = clock.wallNow();
  const slot = periodMs === null ? null : slotOf({ id, everyMs: clock.toWallMs(periodMs), phase, now });
  return wantedOf({ plan, slot, toWall: clock.toWall, now });
}
