import { Gauge, type Registry } from 'prom-client';

/** How old the records of one network's standing authorizations are. */
export type FreshnessSnapshot = {
  readonly network: string;
  readonly authorizations: number;
  readonly late: number;
  readonly ageSeconds: Readonly<Record<'p50' | 'p90' | 'p99' | 'max', number>>;
};

const QUANTILES = { p50: '0.5', p90: '0.9', p99: '0.99', max: '1' } as const;

/** The age of records against the promise. Asked of the store and not measured at pulls: what is never pulled is the oldest, and no histogram would hear of it. */
export function makeFreshnessGauges(registry: Registry): {
  readonly set: (networks: readonly FreshnessSnapshot[]) => void;
} {
  const registers = [registry];
  const age = new Gauge({
    name: 'perennial_record_age_seconds',
    help: 'Age of the records of standing authorizations; quantile 1 is the oldest',
    labelNames: ['network', 'quantile'],
    registers,
  });
  const late = new Gauge({
    name: 'perennial_records_late',
    help: 'Standing authorizations whose records are older than their network promises',
    labelNames: ['network'],
    registers,
  });
  return {
    set: (networks) => {
      age.reset();
      late.reset();
      for (const { network, ageSeconds, late: count } of networks) {
        late.set({ network }, count);
        for (const part of ['p50', 'p90', 'p99', 'max'] as const) {
          age.set({ network, quantile: QUANTILES[part] }, ageSeconds[part]);
        }
      }
    },
  };
}
