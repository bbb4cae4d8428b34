import { z } from 'zod';
import { LIMITS } from '../../../src/core/limits.ts';
import type { Process } from '../../support/processes.ts';
import { overlapsOf, type Row, type Seen } from '../../support/world.ts';
import { FLEET_SPEED, isKept, type Member } from './cast.ts';
import type { Struck } from './strike.ts';
import type { StoredRow, Watched } from './watch.ts';

/**
 * How much later than promised a run or a purge may be because of a fault; wall time. The longest way back: a worker dies with the job, the sweep waits its minute
 * for a run that is overdue and looks a second later, and a server that is away meanwhile, or a slow machine, adds the rest.
 */
export const REPAIR_WALL_MS = LIMITS.overdueGraceMs + LIMITS.sweepEveryMs + LIMITS.leaseMs + 22_000;
/** A process that wakes after its lease is over may have one request on its lips: it was decided on before, and nobody can call it back. */
const WOKEN_MS = 2_000;
/** A gap between pulls this much longer than the period is a repair and not the queue's own slack. */
const REPAIR_FROM_MS = 3_000;
/** A repeating job is early by this much at most. */
const EARLY_MS = 1_000;

export type Evidence = {
  readonly members: readonly Member[];
  /** The source's books. */
  readonly seen: readonly Seen[];
  readonly books: ReadonlyMap<string, Row>;
  readonly stored: readonly StoredRow[];
  readonly watched: Watched;
  readonly struck: readonly Struck[];
  readonly processes: readonly Process[];
  /** `performance.now` when all was judged, and the wall clock then. */
  readonly endMs: number;
  readonly endWallMs: number;
};

export type Repair = { readonly fault: Struck['kind'] | 'none'; readonly lateMs: number };

/** Which authorizations are not where they should be, by the source's books and by the store. */
export function lostOf({ members, books, stored }: Evidence): readonly string[] {
  const rows = new Map(stored.map((row) => [row.id, row]));
  return members.flatMap((member) => {
    const { id, kind, link } = member;
    const [state, book] = [rows.get(id)?.state ?? 'unknown', books.get(link.authorizationId)];
    if (book === undefined) return [`${id}: not in the source's books`];
    if (book.exchanges !== 1) return [`${id}: exchanged ${book.exchanges} times`];
    if (isKept(member)) {
      const faults = [
        state === 'active' ? '' : state,
        book.alive ? '' : 'dead at the source',
        book.refusedRefreshTokens === 0 ? '' : `${book.refusedRefreshTokens} refresh tokens refused`,
        book.revocations === 0 ? '' : 'revoked',
      ].filter((fault) => fault !== '');
      return faults.length === 0 ? [] : [`${id}: ${faults.join(', ')}`];
    }
    const wanted = kind === 'revoked' ? 'needs_reauthorization' : 'purged';
    return state === wanted ? [] : [`${id}: ${state} and not ${wanted}`];
  });
}

/** Requests that carried tokens of one authorization at once: those that break the promise, and those of processes that had just been woken. */
export function overlaps({ seen, struck }: Pick<Evidence, 'seen' | 'struck'>): {
  readonly broken: readonly (readonly [Seen, Seen])[];
  readonly woken: number;
} {
  // A purge waits for no page: it takes the lease from the pull and revokes while the source still writes its answer.
  const all = overlapsOf(seen.filter(({ path }) => path !== '/link/revoke'));
  const wakings = struck.filter(({ kind }) => kind === 'freeze').map(({ healedAtMs }) => healedAtMs);
  const isWoken = ([, later]: readonly [Seen, Seen]): boolean =>
    wakings.some((at) => later.startedAt >= at && later.startedAt < at + WOKEN_MS);
  return { broken: all.filter((pair) => !isWoken(pair)), woken: all.filter(isWoken).length };
}

/** Spans without a pull, by the source's books, and purges, that were longer than promised and the time of a repair; and what stayed within it. */
export function lateness(evidence: Evidence): {
  readonly late: readonly string[];
  readonly repairs: readonly Repair[];
} {
  const { members, watched, struck } = evidence;
  const late: string[] = [];
  const repairs: Repair[] = [];
  for (const member of members.filter(isKept)) {
    const [periodMs, promiseMs] = [member.periodMs / FLEET_SPEED, member.lateAfterMs / FLEET_SPEED];
    for (const { fromMs, toMs } of spansOf({ evidence, member })) {
      const [dueMs, lateMs] = [fromMs + periodMs, fromMs + promiseMs];
      if (toMs > repairedBy({ struck, lateMs })) {
        late.push(`${member.id}: no pull for ${seconds(toMs - fromMs)}, ${seconds(promiseMs)} promised`);
      }
      if (toMs - dueMs > REPAIR_FROM_MS) repairs.push({ fault: causeOf({ struck, dueMs }), lateMs: toMs - dueMs });
    }
  }
  for (const [id, { seenAtMs, lateMs }] of watched.purges) {
    if (seenAtMs > repairedBy({ struck, lateMs: seenAtMs - lateMs })) {
      late.push(`${id}: purged ${seconds(lateMs)} after its deadline`);
    }
  }
  return { late, repairs };
}

/** Until when what became late at `lateMs` has to be repaired. A fault that strikes in mid-repair gives it its time once more, and once only. */
function repairedBy({ struck, lateMs }: Pick<Evidence, 'struck'> & { readonly lateMs: number }): number {
  const within = struck.filter(({ atMs, healedAtMs }) => atMs < lateMs + REPAIR_WALL_MS && healedAtMs > lateMs);
  return Math.max(lateMs, ...within.map(({ healedAtMs }) => healedAtMs)) + REPAIR_WALL_MS;
}

/** From each pull to the next, and from the last one to the end; a pull counts from its first request on. */
function spansOf({
  evidence: { seen, endMs },
  member: { link },
}: {
  readonly evidence: Evidence;
  readonly member: Member;
}): readonly { readonly fromMs: number; readonly toMs: number }[] {
  const pages = seen.filter(({ authorizationId, path, status }) => {
    return authorizationId === link.authorizationId && status === 200 && path.startsWith('/fhir');
  });
  const begun = pages.map(({ startedAt }) => startedAt).sort((left, right) => left - right);
  return begun.map((fromMs, index) => ({ fromMs, toMs: begun[index + 1] ?? endMs }));
}

/** The last fault before a run should have come. */
function causeOf({ struck, dueMs }: Pick<Evidence, 'struck'> & { readonly dueMs: number }): Repair['fault'] {
  const before = struck.filter(({ atMs }) => atMs <= dueMs + REPAIR_FROM_MS);
  return before.toSorted((left, right) => right.atMs - left.atMs)[0]?.kind ?? 'none';
}

const jobSchema = z.object({
  time: z.string(),
  queue: z.literal('refresh-and-pull'),
  reason: z.literal('pulled'),
  durationMs: z.number(),
  authorizationId: z.string(),
});

/**
 * Slots in which an authorization that nobody asked for was pulled to the end more than once. Slots in which a worker's clock was wrong are left out: what it plans is
 * wrong too, and is not believed by the others.
 */
export function runsTwice({ members, stored, struck, processes, endMs, endWallMs }: Evidence): readonly string[] {
  const rows = new Map(stored.map((row) => [row.id, row]));
  const judged = new Set(members.filter(({ kind }) => kind !== 'kept_asked').map(({ id }) => id));
  const wrongClocks = struck.filter(({ kind }) => kind.startsWith('clock'));
  const slots = new Map<string, number>();
  for (const line of processes.flatMap((one) => one.events('job'))) {
    const job = jobSchema.safeParse(JSON.parse(line)).data;
    const row = rows.get(job?.authorizationId ?? '');
    if (job === undefined || !judged.has(job.authorizationId) || row?.period_ms == null || row.phase === null) continue;
    const every = Math.round(row.period_ms / FLEET_SPEED);
    const offset = Math.max(1, Math.floor(row.phase * every));
    const startedAt = Date.parse(job.time) - job.durationMs;
    const atMs = endMs - (endWallMs - startedAt);
    if (wrongClocks.some((fault) => atMs > fault.atMs - every && atMs < fault.healedAtMs + 2 * every)) continue;
    const slot = `${job.authorizationId} in slot ${Math.floor((startedAt - offset + EARLY_MS) / every)}`;
    slots.set(slot, (slots.get(slot) ?? 0) + 1);
  }
  return [...slots]
    .filter(([slot, count]) => count > (isFirst(slot, slots) ? 2 : 1))
    .map(([slot, count]) => `${slot}: ${count} pulls`);
}

/** The first run comes at acceptance, and its repeating job may follow within the same slot. */
function isFirst(slot: string, slots: ReadonlyMap<string, number>): boolean {
  const [id, number] = slot.split(' in slot ');
  return !slots.has(`${id} in slot ${Number(number) - 1}`);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
