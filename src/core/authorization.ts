import type { Instant } from './clock.ts';
import type { NetworkName } from './networks.ts';

export type Usage = 'ONE_TIME' | 'MULTIPLE';

/** Why an authorization's usage is what it is: as asked for, or fallen back because no refresh token came. */
export type UsageReason = 'as_requested' | 'no_refresh_token' | 'endpoint_not_refreshable';

export const STATES = [
  'pending',
  'active',
  'needs_reauthorization',
  'suspended',
  'quarantined',
  'purging',
  'purged',
] as const;
export type State = (typeof STATES)[number];

/** Why a patient has to authorize again. */
export type DeadReason =
  | 'revoked'
  | 'refresh_expired'
  | 'max_authorization_reached'
  | 'consent_ended'
  | 'ambiguous_refresh'
  | 'grant_not_found'
  | 'exchange_refused'
  | 'ambiguous_exchange';

export const END_KINDS = ['refreshToken', 'maxAuthorization', 'accessGrant', 'consent'] as const;
/**
 * Why an authorization ends at an instant known ahead of time: its refresh token, the source's cap on the whole authorization, the grant the
 * token reply names (Blue Button's `access_grant_expiration`), or the consent the calling service keeps.
 */
export type EndKind = (typeof END_KINDS)[number];
export type Ends = Readonly<Record<EndKind, Instant | null>>;

/**
 * What keeps an authorization's tokens from being refreshed although it lives: our client is refused, the source is away, it throttles us,
 * or a token was sent and nobody knows whether it was spent. Each has its own schedule (core/retry.ts).
 */
export type TroubleKind = 'misconfigured' | 'outage' | 'throttled' | 'unsure';
/** `until` is the instant before which no token is offered again, whoever asks for it: a source that named a time means all of us. */
export type Trouble = { readonly kind: TroubleKind; readonly since: Instant; readonly until: Instant };

/** Why an authorization is purged. */
export const PURGE_REASONS = ['one_time_expired', 'requested', 'retention'] as const;
export type PurgeReason = (typeof PURGE_REASONS)[number];

export const AT_ENDS = ['nothing', 'revoke', 'expunge'] as const;
/** What the caller wants done at the source when the authorization is purged: its tokens revoked, or its data there expunged first and then they. */
export type AtEnd = (typeof AT_ENDS)[number];

/** What became of the upstream end; `no_token` where none was left that the source would take. */
export type UpstreamEnd =
  | 'not_asked'
  | 'not_supported'
  | 'revoked'
  | 'expunged'
  | 'revoked_and_expunged'
  | 'failed'
  | 'no_token';

/** The closed set of reasons that stand beside a state. */
export type StateReason =
  | 'accepted'
  | 'exchanged'
  | 'reauthorized'
  /** A pair that was taken for lost came in after all. */
  | 'late_reply'
  | 'source_refuses_client'
  | 'paused_by_operator'
  | 'crashes_its_worker'
  | 'released_by_operator'
  | DeadReason
  | PurgeReason;

/** What differs from the network's table for this one authorization; milliseconds. */
export type CadenceOverride = {
  readonly pullEveryMs?: number;
  readonly lateAfterMs?: number;
  /** Whether pulls follow the changes that were seen, within the network's range; not for the caller to say. */
  readonly adaptive?: boolean;
};

export type Endpoint = {
  readonly id: string;
  readonly name?: string;
  readonly refreshable?: boolean;
  readonly maxAuthorizationPeriodMs?: number;
};

/** One patient's authorization as the store keeps it. No token and no health data is in here. */
export type Authorization = {
  readonly id: string;
  readonly service: string;
  readonly source: string;
  readonly network: NetworkName;
  readonly endpoint: Endpoint;
  readonly cadence: CadenceOverride;
  readonly usageRequested: Usage;
  readonly usage: Usage;
  readonly usageReason: UsageReason;
  readonly state: State;
  readonly stateReason: StateReason;
  readonly acceptedAt: Instant;
  /** When the patient's consent began, from which the maximum authorization period counts. */
  readonly authorizedAt: Instant;
  /** When it will end, for every reason known ahead of time. */
  readonly ends: Ends;
  /** The next warning of its earliest end, or that end itself; null when there is nothing to warn of. */
  readonly nextWarningAt: Instant | null;
  /** What stands between it and its next pair of tokens, if anything does. */
  readonly trouble: Trouble | null;
  readonly periodMs: number | null;
  /** Its fixed place in its period, in [0, 1); chosen once (core/phase.ts). */
  readonly phase: number;
  /** When its next run is planned. The queue only wakes: a run that comes earlier than this waits (core/decide-run.ts). */
  readonly nextRunAt: Instant | null;
  /** When its next pull is planned, where the cadence adapts to its endpoint; null leaves it to the period. */
  readonly nextPullAt: Instant | null;
  /** When its source last said something that a run looks into. A pull that began before is not the last word. */
  readonly toldAt: Instant | null;
  /** When somebody last wanted everything read; a pull that began before does not count. */
  readonly askedAt: Instant | null;
  /** Its source said that the grant is over when this was the version of its tokens, or the one under way: a newer pair proves it wrong. */
  readonly doubtedVersion: number | null;
  /** What its source calls it, as a hash; null where its tokens do not say. */
  readonly upstreamRef: string | null;
  readonly purgeDueAt: Instant | null;
  readonly purgeReason: PurgeReason | null;
  readonly purgedAt: Instant | null;
  /** As the caller asked; null leaves it to the source's settings. */
  readonly atEnd: AtEnd | null;
  /** Null until it was done or given up; written before the key is destroyed, because after that no token opens. */
  readonly upstreamEnd: UpstreamEnd | null;
  readonly fetchedAt: Instant | null;
  readonly lastPull: LastPull | null;
  /** The instant as of which the stored records are known to be what the source had. */
  readonly freshAsOf: Instant | null;
  /** Consecutive runs that did not reach their end; counted here since BullMQ's own count does not hold for schedulers. */
  readonly failedRuns: number;
  readonly lastError: string | null;
};

export type PullResult = 'complete' | 'partial' | 'failed';

export type LastPull = { readonly at: Instant; readonly result: PullResult; readonly durationMs: number };

const NEXT: Readonly<Record<State, readonly State[]>> = {
  pending: ['active', 'needs_reauthorization', 'suspended', 'quarantined', 'purging'],
  active: ['pending', 'needs_reauthorization', 'suspended', 'quarantined', 'purging'],
  needs_reauthorization: ['pending', 'active', 'purging'],
  suspended: ['pending', 'active', 'needs_reauthorization', 'purging'],
  quarantined: ['pending', 'active', 'purging'],
  purging: ['purged'],
  purged: [],
};

/** Whether the state machine has an arrow from one state to the other (design, section 5). Purge wins from everywhere. */
export function mayMove({ from, to }: { readonly from: State; readonly to: State }): boolean {
  return NEXT[from].includes(to);
}

/**
 * Whether a ONE_TIME authorization is to be ended at its source as soon as it is fetched, and was not yet. Its token dies with its deadline, so the
 * purge comes too late for it, and nothing more is wanted from the source.
 */
export function endsAfterFetch({
  usage,
  atEnd,
  upstreamEnd,
}: Pick<Authorization, 'usage' | 'atEnd' | 'upstreamEnd'>): boolean {
  return usage === 'ONE_TIME' && atEnd !== null && atEnd !== 'nothing' && upstreamEnd === null;
}

/** Whether reads of records and tokens must be refused: the purge deadline has passed, be the purge late or not. */
export function isReadable(authorization: Pick<Authorization, 'state' | 'purgeDueAt'>, now: Instant): boolean {
  if (authorization.state === 'purging' || authorization.state === 'purged') return false;
  return authorization.purgeDueAt === null || now < authorization.purgeDueAt;
}
