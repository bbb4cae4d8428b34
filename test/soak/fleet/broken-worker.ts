import { readEnvironment } from '../../../src/config.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import { compose } from '../../../src/main/compose.ts';
import { startWorker } from '../../../src/main/run.ts';

/**
 * `perennial worker`, broken on purpose, to show that the soak sees it: its store gives every taker the lease, whoever holds it; it never finds a run that the
 * queue has lost, and nobody has the duty to compare the queue with the store.
 */
const environment = readEnvironment();
const composition = await compose(environment);
const { store } = composition.context;
const broken = {
  ...store,
  // Nobody seems to have died with it either: such an authorization would be quarantined.
  takeLease: async (wanted: Parameters<Store['takeLease']>[0]) => ({ ...(await store.seizeLease(wanted)), crashes: 0 }),
  renewLease: async () => true,
  overdueRuns: async () => [],
  takeDuty: async () => false,
};
const context = { ...composition.context, store: broken };
const running = await startWorker({ composition: { ...composition, context }, environment });
process.once('SIGTERM', () => {
  composition.stopping.abort();
  void running
    .stop()
    .then(composition.close)
    .then(() => process.exit(0));
});
