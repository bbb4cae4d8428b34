import { Gauge, type Registry } from 'prom-client';

export type PurgeLagSnapshot = {
  /** Null where no purge ended. */
  readonly lagSeconds: { readonly p50: number; readonly p99: number } | null;
  readonly oldestUnpurgedSeconds: number;
  readonly alert: boolean;
};

/** How late purges are. The lag comes from the receipts and not from a histogram, which a restart would forget and each process have for itself. */
export function makePurgeGauges(registry: Registry): { readonly set: (snapshot: PurgeLagSnapshot) => void } {
  const registers = [registry];
  const lag = new Gauge({
    name: 'perennial_purge_lag_seconds',
    help: 'Time from purge deadline to receipt, of the purges of the last 7 days',
    labelNames: ['quantile'],
    registers,
  });
  const oldest = new Gauge({
    name: 'perennial_purge_oldest_unpurged_seconds',
    help: 'How long ago the oldest deadline passed that has no receipt yet',
    registers,
  });
  const alerting = new Gauge({
    name: 'perennial_purge_alert',
    help: '1 while the oldest unpurged is older than PURGE_ALERT_SECONDS',
    registers,
  });
  return {
    set: ({ lagSeconds, oldestUnpurgedSeconds, alert }) => {
      lag.reset();
      if (lagSeconds !== null) {
        lag.set({ quantile: '0.5' }, lagSeconds.p50);
        lag.set({ quantile: '0.99' }, lagSeconds.p99);
      }
      oldest.set(oldestUnpurgedSeconds);
      alerting.set(alert ? 1 : 0);
    },
  };
}
