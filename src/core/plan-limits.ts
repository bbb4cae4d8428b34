import { UNITS } from './limits.ts';

/** What bounds a walk over the fleet for another cadence table: its preview, and its taking effect. */
export const PLAN_LIMITS = {
  /** A preview of the load looks so far ahead: two runs of every network, so that the transition is in it. */
  aheadMs: 2 * UNITS.DAY_MS,
  /** Endpoints that a preview counts one by one; each takes 23 kB meanwhile. */
  endpointsMax: 2_000,
  /** Endpoints that a preview tells of, the largest ones. */
  endpointsShown: 100,
  /** Rows of a page of the fleet that a preview reads. */
  previewBatch: 5_000,
  /** Pages of a walk over the fleet: ten million authorizations by the smallest of them. */
  pagesMax: 20_000,
  /** Authorizations of which a changed cadence table moves those that need it before the duty is kept anew. */
  applyBatch: 500,
  /** A page of moves takes a second or two; a slow store some more. */
  applyLeaseMs: UNITS.MINUTE_MS,
} as const;
