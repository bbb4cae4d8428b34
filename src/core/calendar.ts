import { type DeadReason, END_KINDS, type EndKind, type Ends } from './authorization.ts';
import type { Instant } from './clock.ts';
import { LIMITS, UNITS } from './limits.ts';

export type End = { readonly kind: EndKind; readonly at: Instant };

const HARD_ENDS = END_KINDS.filter((kind) => kind !== 'refreshToken');

/** Nothing is known to end it. */
export const NO_ENDS: Ends = { refreshToken: null, maxAuthorization: null, accessGrant: null, consent: null };

/** The earliest of all known ends, if any: the day by which the patient has to be asked again. */
export function earliestEnd(ends: Ends): End | null {
  return earliestOf(ends, END_KINDS);
}

/** The earliest end that no refresh can move: past it no answer of the source brings the authorization back. */
export function hardEnd(ends: Ends): End | null {
  return earliestOf(ends, HARD_ENDS);
}

/** The end that no refresh can move and that has come, if one has: past it nobody is asked any more. */
export function endThatHasCome({ ends, now }: { readonly ends: Ends; readonly now: Instant }): End | null {
  const end = hardEnd(ends);
  return end !== null && now >= end.at ? end : null;
}

const DEAD_REASONS = {
  refreshToken: 'refresh_expired',
  maxAuthorization: 'max_authorization_reached',
  accessGrant: 'max_authorization_reached',
  consent: 'consent_ended',
} as const satisfies Record<EndKind, DeadReason>;

/** The reason under which an authorization is dead once this end has come. */
export function deadReasonOfEnd(kind: EndKind): DeadReason {
  return DEAD_REASONS[kind];
}

/** What is to be said of an end that comes nearer. */
export type Warning =
  | {
      readonly kind: 'none';
      readonly reason: 'no_end_known' | 'far_away' | 'said_before';
      readonly nextAt: Instant | null;
    }
  | { readonly kind: 'warn'; readonly end: End; readonly daysLeft: number; readonly nextAt: Instant }
  | { readonly kind: 'over'; readonly end: End };

/**
 * Whether a warning is due now, and when to look again. `warnDays` are days ahead of the end, in any order; of several that have passed unsaid only one
 * warning is given, with the days that are really left. `warnedAt` is when the last one was given for this same end, if it was. A refresh token that
 * was granted at `refreshGrantedAt` for fewer days than a warning comes ahead is no news: it is renewed each day, and only when that fails do the days run out.
 */
export function decideWarning({
  ends,
  warnDays,
  warnedAt,
  refreshGrantedAt,
  now,
}: {
  readonly ends: Ends;
  readonly warnDays: readonly number[];
  readonly warnedAt: Instant | null;
  readonly refreshGrantedAt: Instant;
  readonly now: Instant;
}): Warning {
  const end = earliestEnd(ends);
  if (end === null) return { kind: 'none', reason: 'no_end_known', nextAt: null };
  if (now >= end.at) return { kind: 'over', end };
  const knownFrom = end.kind === 'refreshToken' ? refreshGrantedAt : Number.NEGATIVE_INFINITY;
  const moments = warnDays
    .map((days) => end.at - days * UNITS.DAY_MS)
    .filter((moment) => moment > knownFrom)
    .sort((left, right) => left - right);
  const nextAt = moments.find((moment) => moment > now) ?? end.at;
  const passed = moments.findLast((moment) => moment <= now);
  if (passed === undefined) return { kind: 'none', reason: 'far_away', nextAt };
  if (warnedAt !== null && warnedAt >= passed) return { kind: 'none', reason: 'said_before', nextAt };
  return { kind: 'warn', end, daysLeft: Math.ceil((end.at - now) / UNITS.DAY_MS), nextAt };
}

/** When to look at an authorization's ends again after they have changed: the first warning that lies ahead, or now when one has passed already. */
export function nextLookAt({
  ends,
  warnDays,
  refreshGrantedAt,
  now,
}: {
  readonly ends: Ends;
  readonly warnDays: readonly number[];
  readonly refreshGrantedAt: Instant;
  readonly now: Instant;
}): Instant | null {
  const warning = decideWarning({ ends, warnDays, warnedAt: null, refreshGrantedAt, now });
  return warning.kind === 'none' ? warning.nextAt : now;
}

function earliestOf(ends: Ends, kinds: readonly EndKind[]): End | null {
  let earliest: End | null = null;
  for (const kind of kinds) {
    const at = ends[kind];
    if (at !== null && (earliest === null || at < earliest.at)) earliest = { kind, at };
  }
  return earliest;
}

/** An end told anew as so many seconds from now moves a little each time: one that moved by less than {@link LIMITS.sameEndMs} stays where it was. */
export function steady({
  before,
  told,
}: {
  readonly before: Instant | null;
  readonly told: Instant | null;
}): Instant | null {
  if (told === null) return before;
  return before !== null && Math.abs(told - before) < LIMITS.sameEndMs ? before : told;
}
