const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** The limits of the reconciler, of the catch-up and of the sweep of runs; a part of LIMITS. */
export const REPAIR_LIMITS = {
  /** A run this much later than planned is repaired by the sweep; BullMQ itself is late by seconds, not minutes. */
  overdueGraceMs: MINUTE_MS,
  /**
   * Before who brings a run looks again whether a job that has planned already has ended: BullMQ ends it within milliseconds, on a busy machine within some tenths of a second.
   * A job that a worker holds until it has a place looks the same and sees the news when it runs, so nobody waits for long; what is left the sweep comes for, a minute late.
   */
  runEndWaitsMs: [25, 50, 100, 200, 400],
  /** Authorizations that the reconciler looks at in one go: some 5 ms of Redis, and one query. */
  reconcilePageSize: 500,
  /** Between two such looks where little is wrong: a million authorizations take three hours and 3 % of a core. */
  reconcilePageEveryMs: SECOND_MS,
  /** Between two passes: a small fleet is looked at this often. */
  reconcilePassEveryMs: 10 * SECOND_MS,
  /** A page of which so large a share was repaired makes the rest of the pass hurry. */
  reconcileMuchDriftShare: 0.05,
  /** So few repairs are never much: a fleet of ten has accidents too. */
  reconcileFewMax: 20,
  /** Drift that is not much is looked at again after this before it is repaired: a flow may stand between its store and its queue. */
  reconcileConfirmMs: SECOND_MS,
  /** Repairs under way at once: BullMQ's scripts take one after the other, and this keeps them busy. */
  reconcileHands: 64,
  /** A job may wake this far from its time: BullMQ adds a delay to a clock that was read a moment before. */
  reconcileToleranceMs: 2 * SECOND_MS,
  /** A job that wakes within this is left to decide for itself. */
  reconcileSoonMs: 2 * MINUTE_MS,
  /** How soon the reconciler of a worker that died is another's; it is renewed with each page. */
  dutyLeaseMs: 15 * SECOND_MS,
  /** How often a worker asks for a duty that another has. */
  dutyAskEveryMs: SECOND_MS,
  /** How often the queue's mark is compared with the store's: a lost Redis is seen this soon. */
  markLookEveryMs: SECOND_MS,
  /** How often the mark is renewed: a Redis restored from a copy older than this is seen at once. */
  markEveryMs: MINUTE_MS,
  /** Who takes the duty over does not begin in a hurry when the last pass ended this recently, unless the marks differ. */
  reconcileFreshMs: 10 * MINUTE_MS,
  /** After downtime all that is overdue is planned within this; within an hour, and long before the next day's promise. */
  catchUpWithinMs: HOUR_MS,
  /** When the first run of a catch-up comes: twice as far ahead as a job runs that wakes early, so that those which all wake now wait. */
  catchUpAfterMs: 2 * MINUTE_MS,
  /** Between two runs of a catch-up, while that fits in; wall time: 50 a second over the fleet, which the store and most payers carry. */
  catchUpSpacingMs: 20,
  /** So many overdue runs need no plan: they just run. */
  catchUpAbove: 100,
  /** Rows that one statement plans anew: a second or two of the database. */
  catchUpPageSize: 5_000,
  /** Such pages in one catch-up: two million authorizations. */
  catchUpPagesMax: 400,
  /** Kept anew with each page, whose statement may take as long as the store lets it. */
  catchUpLeaseMs: MINUTE_MS,
  /** How long a worker that starts waits for another that plans the backlog. */
  catchUpWaitMs: 2 * MINUTE_MS,
} as const;
