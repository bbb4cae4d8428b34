import type { Counter } from 'prom-client';
import type { Metrics } from '../../core/ports/telemetry.ts';
import { label } from './label.ts';

type Making = <T extends string>(name: string, help: string, labelNames: readonly T[]) => Counter<T>;

/** What is counted of a fleet that heals itself. */
export function makeFleetCounters(
  counter: Making,
): Pick<Metrics, 'turnedAway' | 'quarantined' | 'hook' | 'repaired' | 'drift'> {
  const turnedAway = counter('gate_turned_away_total', 'Runs that the gate of their endpoint put back', ['reason']);
  const quarantines = counter('quarantined_total', 'Authorizations that were set aside because their workers died', [
    'network',
  ]);
  const hooks = counter('hooks_total', 'Webhooks of sources by event and outcome', ['event', 'outcome']);
  const repairs = counter('repairs_total', 'What the sweep found undone in the store and did', ['what']);
  const drifts = counter('drift_total', 'What the reconciler found different in the queue and repaired', [
    'what',
    'reason',
  ]);
  return {
    turnedAway: ({ reason }) => turnedAway.inc({ reason: label(reason) }),
    quarantined: ({ network }) => quarantines.inc({ network: label(network) }),
    hook: ({ event, outcome }) => hooks.inc({ event: label(event), outcome: label(outcome) }),
    repaired: ({ what }) => repairs.inc({ what: label(what) }),
    drift: ({ what, reason }) => drifts.inc({ what: label(what), reason: label(reason) }),
  };
}
