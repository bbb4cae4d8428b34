import { type DeadReason, END_KINDS, type EndKind, type Ends } from './authorization.ts';
import type { Instant } from './clock.ts';
import { UNITS } from './limits.ts';

export type End = { readonly kind: EndKind; readonly at: Instant };

/** Nothing is known to end it. */
export const NO_ENDS: Ends = { refreshToken: null, maxAuthorization: null, accessGrant: null, consent: null };

/** The earliest of all known ends, if any: the day by which the patient has to be asked again. */
export function earliestEnd(ends: Ends): End | null {
  return earliestOf(ends, END_KINDS);
}

/** The earliest end that no refresh can move: past it no answer of the source brings the authorization back. */
export function hardEnd(ends: Ends): End | null {
  return earliestOf(
    ends,
    END_KINDS.filter((kind) => kind !== 'refreshToken'),
  );
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
 * warning is given, with the days that are really left. `warnedAt` is when the last one was given for this same end, if it was.
 */
export function decideWarning({
  ends,
  warnDays,
  warnedAt,
  now,
}: {
  readonly ends: Ends;
  readonly warnDays: readonly number[];
  readonly warnedAt: Instant | null;
  readonly now: Instant;
}): Warning {
  const end = earliestEnd(ends);
  if (end === null) return { kind: 'none', reason: 'no_end_known', nextAt: null };
  if (now >= end.at) return { kind: 'over', end };
  const moments = warnDays.map((days) => end.at - days * UNITS.DAY_MS).sort((left, right) => left - right);
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
  now,
}: {
  readonly ends: Ends;
  readonly warnDays: readonly number[];
  readonly now: Instant;
}): Instant | null {
  const warning = decideWarning({ ends, warnDays, warnedAt: null, now });
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
