import type { CadenceTable } from '../../core/cadence.ts';
import type { NetworkName } from '../../core/networks.ts';

/** What befalls a simulated fleet, each once or now and then; `--faults` names some of them. */
export const FAULTS = [
  'outages',
  'throttling',
  'refresh',
  'downtime',
  'redis',
  'jobs',
  'clock',
  'import',
  'period',
] as const;
export type Fault = (typeof FAULTS)[number];

/** What a broken variant lacks; all true is the product. */
export type Variant = {
  /** The reconciler and the sweep: nothing that the queue has lost comes back. */
  readonly repairs: boolean;
  readonly phases: boolean;
  /** The spread after downtime; without, all that is overdue runs at once. */
  readonly catchUpSpread: boolean;
};

/** Plain data, so that a thread can be given it. */
export type Settings = {
  readonly authorizations: number;
  readonly days: number;
  readonly seed: number;
  readonly endpoints: number;
  readonly networks: Readonly<Record<NetworkName, number>>;
  readonly cadence: CadenceTable;
  readonly faults: readonly Fault[];
  readonly adaptive: boolean;
  readonly threads: number;
  readonly variant: Variant;
};

/** A Monday at midnight UTC, from which a simulation's instants count; slots and weekdays are those of the calendar. */
export const START = Date.UTC(2026, 0, 5);

/** What the bulk import brings, where it is simulated; half of the fleet at most. */
export const IMPORT_MAX = 50_000;

export const PRODUCT: Variant = { repairs: true, phases: true, catchUpSpread: true };
