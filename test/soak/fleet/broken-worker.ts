import { readEnvironment } from '../../../src/config.ts';
import type { Context } from '../../../src/flows/context.ts';
import { compose } from '../../../src/main/compose.ts';
import { startWorker } from '../../../src/main/run.ts';

/**
 * `perennial worker`, broken on purpose, to show that the soak sees it: `no-lease` gives every taker the lease, whoever holds it; `no-repair` never looks
 * for runs that the queue has lost.
 */
const environment = readEnvironment();
const composition = await compose(environment);
const context = broken(composition.context);
const running = await startWorker({ composition: { ...composition, context }, environment });
process.once('SIGTERM', () => {
  composition.stopping.abort();
  void running
    .stop()
    .then(composition.close)
    .then(() => process.exit(0));
});

function broken(whole: Context): Context {
  const { store } = whole;
  if (process.argv[2] === 'no-lease') {
    return { ...whole, store: { ...store, takeLease: store.seizeLease, renewLease: async () => true } };
  }
  return { ...whole, store: { ...store, overdueRuns: async () => [] } };
}
