import type { Context } from '../../../src/flows/context.ts';
import { listenToStatements } from '../kill/statements.ts';
import { withSource } from '../kill/window.ts';
import type { PurgeOrder } from './orders.ts';
import type { Moment } from './points.ts';

/** Into a transaction or a request under way: from its first byte to some time after it is usually over. */
const DELAYS_MS = [0, 1, 2, 4, 8, 16, 32] as const;
/** The statements of the longest transaction, its own begin and commit among them. */
const STATEMENTS_MAX = 14;

type Rig = { readonly order: PurgeOrder; readonly strike: () => void };

/** The ports of a real context, with `strike` called at the moment that the order names, and broken where it says so. No product code knows. */
export function rigPurge({ context, ...rig }: Rig & { readonly context: Context }): Context {
  const { order, strike } = rig;
  const { store, queue } = context;
  const vault = order.defect === 'receipt-first' ? withoutDestruction(context.vault) : context.vault;
  const at = (moment: Moment): void => {
    if (order.moment === moment) strike();
  };
  /** The same call, with a moment before, one within and one after it. */
  const around =
    <In extends readonly unknown[], Out>(
      moments: { readonly before?: Moment; readonly within?: Moment; readonly after?: Moment },
      call: (...args: In) => Promise<Out>,
    ) =>
    async (...args: In): Promise<Out> => {
      if (moments.before !== undefined) at(moments.before);
      const within = order.moment === moments.within;
      const result = await (within ? strikeDuring({ ...rig, work: () => call(...args) }) : call(...args));
      if (moments.after !== undefined) at(moments.after);
      return result;
    };
  const taking = { before: 'lease-asked', after: 'lease-taken' } as const;
  return {
    ...context,
    store: {
      ...store,
      takeLease: around(taking, store.takeLease),
      seizeLease: around(taking, store.seizeLease),
      get: around({ after: 'authorization-read' }, store.get),
      // The first write is that of the state; a later one that of the outcome upstream.
      update: (value) =>
        value.patch.state !== undefined
          ? around({ within: 'state-under-way', after: 'state-written' }, store.update)(value)
          : around({ after: 'outcome-written' }, store.update)(value),
      deleteRows: around({ within: 'deletion-under-way', after: 'rows-deleted' }, store.deleteRows),
      leftOf: around({ after: 'looked-at' }, store.leftOf),
      finishPurge: around(
        { before: 'verified', within: 'receipt-under-way', after: 'receipt-written' },
        store.finishPurge,
      ),
      releaseLease: around({ before: 'release-asked' }, store.releaseLease),
    },
    vault: { ...vault, destroy: around({ within: 'destroy-under-way', after: 'key-destroyed' }, vault.destroy) },
    queue: { ...queue, sweep: around({ within: 'sweep-under-way', after: 'queue-swept' }, queue.sweep) },
    sources: withSource(context.sources, (source) => ({
      ...source,
      revoke: around({ before: 'upstream-asked', after: 'upstream-answered' }, source.revoke),
    })),
  };
}

/** Leaves the destruction for later and believes that it was done. */
function withoutDestruction(vault: Context['vault']): Context['vault'] {
  return { ...vault, destroy: async () => undefined, has: async () => false };
}

/** Strikes while work is under way: after some time, or after some statements of the database; at the latest when it is answered. */
function strikeDuring<Out>({ order, strike, work }: Rig & { readonly work: () => Promise<Out> }): Promise<Out> {
  const choice = Math.floor(order.detail / 2);
  if (order.detail % 2 === 0) setTimeout(strike, DELAYS_MS[choice % DELAYS_MS.length]);
  else {
    let left = 1 + (choice % STATEMENTS_MAX);
    listenToStatements(() => {
      left -= 1;
      // A turn later, when the statement has left the process.
      if (left === 0) setImmediate(strike);
    });
  }
  return work().finally(strike);
}
