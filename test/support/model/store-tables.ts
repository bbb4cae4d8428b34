import { type Authorization, mayMove, type State } from '../../../src/core/authorization.ts';
import type { Instant } from '../../../src/core/clock.ts';
import { PerennialError } from '../../../src/core/errors.ts';
import type { DeletedRows, StoredReceipt } from '../../../src/core/ports/audit.ts';
import type { Event, EventKind, SourceState } from '../../../src/core/ports/feed.ts';
import type { Swept } from '../../../src/core/ports/queue.ts';
import type {
  AsOf,
  AuditEntry,
  AuthorizationPatch,
  Fence,
  Intent,
  SealedChange,
  SealedTokens,
  Store,
} from '../../../src/core/ports/store.ts';

type Row = {
  authorization: Authorization;
  fingerprint: string | null;
  keyFingerprint: string;
  earlier: readonly string[];
  deleted: DeletedRows | null;
};
type Lease = { owner: string; fence: number; crashes: number; released: boolean; expiresAt: number };

/** What a test may want to see at the very moment at which it becomes true. */
export type Watch = {
  readonly tokensCommitted?: (value: { readonly authorizationId: string; readonly tokens: SealedTokens }) => void;
  readonly intentOpened?: (intent: Intent) => void;
  readonly moved?: (value: { readonly authorizationId: string; readonly from: State; readonly to: State }) => void;
};

/** All that a store model knows. */
export type Tables = {
  readonly authorizations: Map<string, Row>;
  readonly leases: Map<string, Lease>;
  readonly tokens: Map<string, SealedTokens>;
  readonly intents: Map<string, Intent>;
  readonly manifests: Map<string, Map<string, Uint8Array>>;
  readonly packs: Map<string, Map<string, Uint8Array>>;
  readonly journals: Map<string, { readonly state: Uint8Array; readonly pages: readonly Uint8Array[] }>;
  readonly abilities: Map<string, NonNullable<Awaited<ReturnType<Store['sourceAbilities']>>>>;
  readonly changes: Map<string, SealedChange[]>;
  readonly swept: Map<string, Swept>;
  readonly receipts: Map<string, StoredReceipt>;
  readonly sources: Map<string, SourceState>;
  readonly events: Event[];
  readonly audit: AuditEntry[];
};

/** `now` is the database's clock, for leases; `domainNow` dates what the flows do not date. */
export type Parts = {
  readonly tables: Tables;
  readonly now: () => number;
  readonly domainNow: () => Instant;
  readonly watch: Watch;
};

export function createTables(): Tables {
  return {
    authorizations: new Map(),
    leases: new Map(),
    tokens: new Map(),
    intents: new Map(),
    manifests: new Map(),
    packs: new Map(),
    journals: new Map(),
    abilities: new Map(),
    changes: new Map(),
    swept: new Map(),
    receipts: new Map(),
    sources: new Map(),
    events: [],
    audit: [],
  };
}

/** Writes only under the newest fence; an expired lease that nobody took again still has it. */
export function fenced<T>(
  { tables, fence }: { readonly tables: Tables; readonly fence: Fence },
  write: (row: Row) => T,
): T | 'superseded' {
  const row = tables.authorizations.get(fence.authorizationId);
  if (row === undefined || tables.leases.get(fence.authorizationId)?.fence !== fence.fence) return 'superseded';
  return write(row);
}

/** Whether a plan that was made as of `asOf` still holds. */
export function isAsKnown({ row: { authorization }, asOf }: { readonly row: Row; readonly asOf: AsOf }): boolean {
  return authorization.periodMs === asOf.periodMs && authorization.toldAt === asOf.toldAt;
}

/** As {@link fenced}, and never once a purge was begun. */
export function fencedBeforePurge<T>(
  holding: Parameters<typeof fenced>[0],
  write: (row: Row) => T | 'superseded',
): T | 'superseded' {
  return fenced<T | 'superseded'>(holding, (row) => {
    const { state } = row.authorization;
    return state === 'purging' || state === 'purged' ? 'superseded' : write(row);
  });
}

/** @throws PerennialError `internal` for a move that the state machine does not have; nothing is written then. */
export function assertMove({ row, patch }: { readonly row: Row; readonly patch: AuthorizationPatch }): void {
  const { state: from } = row.authorization;
  const to = patch.state ?? from;
  if (to !== from && !mayMove({ from, to })) throw new PerennialError('internal', { field: `state ${from} to ${to}` });
}

/** Writes a patch with the audit entry and the event of the move in it. */
export function applyPatch({
  parts: { tables, domainNow, watch },
  row,
  patch,
  actor,
}: {
  readonly parts: Parts;
  readonly row: Row;
  readonly patch: AuthorizationPatch;
  readonly actor: string;
}): void {
  assertMove({ row, patch });
  const before = row.authorization;
  row.authorization = { ...before, ...patch };
  const { id: authorizationId, state: to, stateReason: reason, source } = row.authorization;
  const at = domainNow();
  const kind = eventOf({ before, patch, to });
  if (kind !== null) appendEvent({ tables, event: { at, kind, authorizationId, source, reason } });
  if (to !== before.state) watch.moved?.({ authorizationId, from: before.state, to });
  if (to === before.state && reason === before.stateReason) return;
  tables.audit.push({ at, authorizationId, actor, action: `state:${to}`, reason });
}

function eventOf({
  before,
  patch,
  to,
}: {
  readonly before: Authorization;
  readonly patch: AuthorizationPatch;
  readonly to: State;
}): EventKind | null {
  if (to === 'needs_reauthorization' && before.state !== to) return 'needs_reauthorization';
  if (to === 'quarantined' && before.state !== to) return 'quarantined';
  if (patch.stateReason === 'released_by_operator' && before.state !== to) return 'released';
  const back = patch.stateReason === 'reauthorized' || patch.stateReason === 'late_reply';
  if (to === 'active' && before.state !== to && back) return 'repaired';
  if (patch.trouble === undefined) return null;
  const wasUnsure = before.trouble?.kind === 'unsure';
  if (patch.trouble?.kind === 'unsure') return wasUnsure ? null : 'refresh_unsure';
  return wasUnsure && to === 'active' ? 'refresh_sure_again' : null;
}

export function appendEvent({
  tables: { events },
  event,
}: {
  readonly tables: Tables;
  readonly event: Omit<Event, 'cursor' | 'endsAt' | 'daysLeft'> & Partial<Pick<Event, 'endsAt' | 'daysLeft'>>;
}): void {
  events.push({ endsAt: null, daysLeft: null, ...event, cursor: events.length + 1 });
}
