import type { Authorization } from '../authorization.ts';
import type { Promises } from '../cadence.ts';
import type { Instant } from '../clock.ts';
import type { Plan } from '../reconcile.ts';

/** What one worker at a time does for all. */
export type Duty = 'reconcile' | 'catch_up' | 'apply_cadence' | 'empty_shards';

/** What the last complete pass over store and queue found. */
export type LastPass = { readonly agoMs: number; readonly authorizations: number; readonly drift: number };

/** An overdue run, as a catch-up plans it anew. */
export type Overdue = Pick<Authorization, 'id' | 'phase'> & { readonly periodMs: number };

/** What the store keeps for workers that repair the fleet together. */
export type FleetStore = {
  /** Takes a duty that nobody alive has, or keeps one's own for `leaseMs` from now; says whether it is one's own. On the store's clock. */
  readonly takeDuty: (duty: {
    readonly name: Duty;
    readonly owner: string;
    readonly leaseMs: number;
  }) => Promise<boolean>;
  readonly releaseDuty: (duty: { readonly name: Duty; readonly owner: string }) => Promise<void>;
  /** The mark that the queue should bear, and the last complete pass; nulls before the first. */
  readonly reconciled: () => Promise<{ readonly mark: string | null; readonly lastPass: LastPass | null }>;
  /** Remembers the mark, and with it a pass that has just ended. */
  readonly noteReconciled: (value: {
    readonly mark: string;
    readonly pass?: Pick<LastPass, 'authorizations' | 'drift'>;
  }) => Promise<void>;
  /** What the queue's side follows from, of all that are not purged; in the order of their ids, after one of them. */
  readonly plans: (page: { readonly after: string | null; readonly limit: number }) => Promise<readonly Plan[]>;
  /** The same of certain ones; purged ones too, and none of those that are not there. */
  readonly plansOf: (authorizationIds: readonly string[]) => Promise<readonly Plan[]>;
  /** How many standing authorizations' runs should have happened before `before` and have nobody working on them; counted up to `limit`. */
  readonly countOverdue: (query: { readonly before: Instant; readonly limit: number }) => Promise<number>;
  /**
   * The same ones, nearest deadline first: those whose refresh token would end before `urgentBefore`, then by when their records are late or a token of theirs
   * ends, whichever is first.
   */
  readonly overdueByDeadline: (query: {
    readonly before: Instant;
    readonly now: Instant;
    readonly urgentBefore: Instant;
    readonly lateAfter: Promises;
    readonly limit: number;
  }) => Promise<readonly Overdue[]>;
  /** Moves the plans of those that are still overdue; says how many. */
  readonly replan: (value: {
    readonly before: Instant;
    readonly plans: readonly { readonly id: string; readonly nextRunAt: Instant }[];
  }) => Promise<number>;
};
