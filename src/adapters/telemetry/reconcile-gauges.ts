import { Gauge, type Registry } from 'prom-client';
import type { LastPass } from '../../core/ports/fleet.ts';

/** What the last complete pass over store and queue came to, whichever worker made it. */
export function makeReconcileGauges(registry: Registry): { readonly set: (lastPass: LastPass | null) => void } {
  const registers = [registry];
  const age = new Gauge({
    name: 'perennial_reconcile_age_seconds',
    help: 'How long ago the last complete pass over store and queue ended',
    registers,
  });
  const authorizations = new Gauge({
    name: 'perennial_reconcile_authorizations',
    help: 'Authorizations that the last complete pass looked at',
    registers,
  });
  const drift = new Gauge({
    name: 'perennial_reconcile_drift',
    help: 'What the last complete pass found different in the queue and repaired',
    registers,
  });
  return {
    set: (lastPass) => {
      if (lastPass === null) return;
      age.set(lastPass.agoMs / 1_000);
      authorizations.set(lastPass.authorizations);
      drift.set(lastPass.drift);
    },
  };
}
