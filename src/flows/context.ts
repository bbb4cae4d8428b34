import type { CadenceTable } from '../core/cadence.ts';
import type { Clock, Entropy } from '../core/ports/clock.ts';
import type { Codec } from '../core/ports/codec.ts';
import type { Gates } from '../core/ports/gates.ts';
import type { WorkQueue } from '../core/ports/queue.ts';
import type { Store } from '../core/ports/store.ts';
import type { Log, Metrics } from '../core/ports/telemetry.ts';
import type { Sources } from '../core/ports/upstream.ts';
import type { Vault } from '../core/ports/vault.ts';
import type { Learner } from './learn.ts';
import type { PullPlaces } from './pull-places.ts';
import type { Suspects } from './suspects.ts';

/** Everything a flow may touch. Made once by the composition root, handed to every flow. */
export type Context = {
  readonly store: Store;
  readonly queue: WorkQueue;
  readonly vault: Vault;
  readonly sources: Sources;
  readonly gates: Gates;
  /** Of this process: see flows/suspects.ts. */
  readonly suspects: Suspects;
  /** Of this process: see flows/pull-places.ts. */
  readonly pulls: PullPlaces;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly cadence: CadenceTable;
  /** What this process learns of when endpoints change. */
  readonly learner: Learner;
  /** How many days ahead of its end an authorization is warned of. */
  readonly warnDays: readonly number[];
  /** A purge this late is somebody's alarm; wall time. */
  readonly purgeAlertMs: number;
  /** This process, as it stands in leases. */
  readonly owner: string;
  /** Aborts when the process is told to stop: from then on no token is spent that has not been sent. */
  readonly stopping: AbortSignal;
};

/** Stands in the audit trail where the worker itself acts. */
export const WORKER_ACTOR = 'worker';
