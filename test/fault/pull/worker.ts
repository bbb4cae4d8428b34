import type { Store } from '../../../src/core/ports/store.ts';
import { openAt } from './open.ts';
import { type Order, orderSchema } from './order.ts';

/** A process that pulls and ends at the ordered commit, by a signal that nothing in it can see coming. */
const order = orderSchema.parse(JSON.parse(process.argv[2] ?? ''));
const bench = await openAt({ ...order, rigStore: (store) => ({ ...store, commitRecords: rigged({ store, order }) }) });
await bench.pull({ id: order.id });
// It should not have come so far.
process.exit(1);

function rigged({ store, order: told }: { readonly store: Store; readonly order: Order }): Store['commitRecords'] {
  let commits = 0;
  return async (value) => {
    commits += 1;
    const isLast = commits === told.commit;
    if (isLast && told.moment === 'before') strike();
    if (told.defect === 'mark-first') {
      await store.commitRecords({ ...value, packs: [], journal: { ...value.journal, page: null } });
    } else {
      const result = await store.commitRecords(value);
      if (!isLast) return result;
    }
    if (isLast) strike();
    return store.commitRecords(value);
  };
}

/** Does not return to this process before the signal has done its work. */
function strike(): void {
  process.kill(process.pid, 'SIGKILL');
}
