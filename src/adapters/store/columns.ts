import { z } from 'zod';
import type {
  AtEnd,
  CadenceOverride,
  DeadReason,
  Endpoint,
  Ends,
  PullResult,
  PurgeReason,
  State,
  StateReason,
  TroubleKind,
  UpstreamEnd,
  Usage,
  UsageReason,
} from '../../core/authorization.ts';
import { PerennialError } from '../../core/errors.ts';
import type { DeletedRows } from '../../core/ports/audit.ts';
import type { EventKind } from '../../core/ports/feed.ts';
import type { SourceCondition } from '../../core/ports/source-condition.ts';
import type { Intent } from '../../core/ports/store.ts';
import type { Abilities } from '../../core/pull-state.ts';

type ClosedSet<T extends string> = Readonly<Record<T, true>>;

export const STATE_SET: ClosedSet<State> = {
  pending: true,
  active: true,
  needs_reauthorization: true,
  suspended: true,
  quarantined: true,
  purging: true,
  purged: true,
};

export const PURGE_REASON_SET: ClosedSet<PurgeReason> = { one_time_expired: true, requested: true, retention: true };

const DEAD_REASON_SET: ClosedSet<DeadReason> = {
  revoked: true,
  refresh_expired: true,
  max_authorization_reached: true,
  consent_ended: true,
  ambiguous_refresh: true,
  grant_not_found: true,
  exchange_refused: true,
  ambiguous_exchange: true,
};

export const STATE_REASON_SET: ClosedSet<StateReason> = {
  accepted: true,
  exchanged: true,
  reauthorized: true,
  late_reply: true,
  source_refuses_client: true,
  paused_by_operator: true,
  crashes_its_worker: true,
  released_by_operator: true,
  ...DEAD_REASON_SET,
  ...PURGE_REASON_SET,
};

export const AT_END_SET: ClosedSet<AtEnd> = { nothing: true, revoke: true, expunge: true };
export const UPSTREAM_END_SET: ClosedSet<UpstreamEnd> = {
  not_asked: true,
  not_supported: true,
  revoked: true,
  expunged: true,
  revoked_and_expunged: true,
  failed: true,
  no_token: true,
};

export const USAGE_SET: ClosedSet<Usage> = { ONE_TIME: true, MULTIPLE: true };
export const USAGE_REASON_SET: ClosedSet<UsageReason> = {
  as_requested: true,
  no_refresh_token: true,
  endpoint_not_refreshable: true,
};
export const PULL_RESULT_SET: ClosedSet<PullResult> = { complete: true, partial: true, failed: true };
export const TROUBLE_SET: ClosedSet<TroubleKind> = { misconfigured: true, outage: true, throttled: true, unsure: true };
export const SOURCE_CONDITION_SET: ClosedSet<SourceCondition> = { suspended: true, outage: true, throttled: true };
export const EVENT_KIND_SET: ClosedSet<EventKind> = {
  needs_reauthorization: true,
  repaired: true,
  quarantined: true,
  released: true,
  ending: true,
  refresh_unsure: true,
  refresh_sure_again: true,
  source_suspended: true,
  source_outage: true,
  source_throttled: true,
  source_recovered: true,
};
export const INTENT_KIND_SET: ClosedSet<Intent['kind']> = { refresh: true, exchange: true };

/** A text column that holds one of a closed set. @throws PerennialError `internal` for a word we do not know. */
export function member<T extends string>(set: Readonly<Record<T, unknown>>, value: string): T {
  if (isMember(set, value)) return value;
  throw new PerennialError('internal', { field: 'stored value' });
}

function isMember<T extends string>(set: Readonly<Record<T, unknown>>, value: string): value is T {
  return Object.hasOwn(set, value);
}

const endpointSchema: z.ZodType<Endpoint> = z.object({
  id: z.string(),
  name: z.string().exactOptional(),
  refreshable: z.boolean().exactOptional(),
  maxAuthorizationPeriodMs: z.number().exactOptional(),
});
const cadenceSchema: z.ZodType<CadenceOverride> = z.object({
  pullEveryMs: z.number().exactOptional(),
  lateAfterMs: z.number().exactOptional(),
});
const endSchema = z.number().nullable().default(null);
const endsSchema: z.ZodType<Ends> = z.object({
  refreshToken: endSchema,
  maxAuthorization: endSchema,
  accessGrant: endSchema,
  consent: endSchema,
});
const count = z.number().default(0);
const deletedRowsSchema: z.ZodType<DeletedRows> = z.object({
  tokens: count,
  packs: count,
  manifests: count,
  changes: count,
  journal: count,
});

export const toEndpoint = (value: unknown): Endpoint => parsed(endpointSchema, value);
export const toCadence = (value: unknown): CadenceOverride => parsed(cadenceSchema, value);
export const toEnds = (value: unknown): Ends => parsed(endsSchema, value);
export const toTexts = (value: unknown): readonly string[] => parsed(z.array(z.string()), value);
const abilitiesSchema: z.ZodType<Abilities> = z.object({ lastUpdated: z.array(z.string()) });
export const toAbilities = (value: unknown): Abilities => parsed(abilitiesSchema, value);
export const toDeletedRows = (value: unknown): DeletedRows => parsed(deletedRowsSchema, value);

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (!result.success) throw new PerennialError('internal', { field: 'stored value' });
  return result.data;
}

/** pg gives bigint as text, PGlite as a number or a bigint; all of ours count rows and stay below 2^53. */
export function toNumber(value: string | number | bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new PerennialError('internal', { field: 'stored value' });
  return number;
}

/** The same plain view of the bytes, whichever driver gave them (pg gives a Buffer). */
export function toBytes(value: Uint8Array): Uint8Array {
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}
