import type { Store, Taken } from '../../../src/core/ports/store.ts';
import type { Source, Sources } from '../../../src/core/ports/upstream.ts';
import type { Context } from '../../../src/flows/context.ts';
import { blowOf } from './blow.ts';
import { sendAndHearHead, sendPart } from './half-sent.ts';
import type { Order } from './orders.ts';
import type { Moment } from './points.ts';
import { listenToStatements } from './statements.ts';
import { withSource } from './window.ts';

type Rig = { readonly order: Order; readonly strike: () => void };

/** The ports of a real context, with `strike` called at the moment that the order names, and broken where it says so. No product code knows. */
export function rig({ context, ...rig }: Rig & { readonly context: Context }): Context {
  return { ...context, store: rigStore(context.store, rig), sources: rigSources(context.sources, rig) };
}

function rigStore(store: Store, { order, strike }: Rig): Store {
  const at = (moment: Moment): void => {
    if (order.moment === moment) strike();
  };
  /** The same call, with a moment before and one after it. */
  const between =
    <In extends readonly unknown[], Out>(
      moments: { readonly before?: Moment; readonly after?: Moment },
      call: (...args: In) => Promise<Out>,
    ) =>
    async (...args: In): Promise<Out> => {
      if (moments.before !== undefined) at(moments.before);
      const result = await call(...args);
      if (moments.after !== undefined) at(moments.after);
      return result;
    };
  const during = <In, Out>(moment: Moment, call: (value: In) => Promise<Out>): ((value: In) => Promise<Out>) =>
    order.moment === moment ? (value) => strikeDuring({ order, strike, write: () => call(value) }) : call;
  const openIntent: Store['openIntent'] = order.defect === 'no-intent' ? async () => 'committed' : store.openIntent;
  return {
    ...store,
    takeLease: between({ before: 'lease-asked', after: 'lease-taken' }, async (wanted) =>
      afterOutage(await store.takeLease(wanted)),
    ),
    openIntent: between({ after: 'intent-written' }, during('intent-under-way', openIntent)),
    commitTokens: between(
      { before: 'commit-called', after: 'committed' },
      during('commit-under-way', store.commitTokens),
    ),
    clearSource: between({ before: 'clear-called', after: 'cleared' }, store.clearSource),
    commitRecords: between({ after: 'records-written' }, store.commitRecords),
    update: between({ after: 'run-written' }, store.update),
    updateAsOf: between({ after: 'run-written' }, store.updateAsOf),
  };
}

/** The source was away before, so that a grant has something to clear. */
function afterOutage(taken: Taken | null): Taken | null {
  if (taken === null || taken.standing === null) return taken;
  return { ...taken, standing: { ...taken.standing, sourceCondition: 'outage' } };
}

/** Strikes while a transaction is under way; at the latest when it is answered. */
function strikeDuring<Out>({ order, strike, write }: Rig & { readonly write: () => Promise<Out> }): Promise<Out> {
  const blow = blowOf(order);
  if (blow.after === 'ms') setTimeout(strike, blow.count);
  if (blow.after === 'statements') {
    let left = blow.count;
    listenToStatements(() => {
      left -= 1;
      // A turn later, when the statement has left the process.
      if (left === 0) setImmediate(strike);
    });
  }
  return write().finally(strike);
}

function rigSources(sources: Sources, { order, strike }: Rig): Sources {
  const at = (moment: Moment): void => {
    if (order.moment === moment) strike();
  };
  return withSource(sources, (source) => ({
    ...source,
    refresh: async (request) => {
      at('refresh-called');
      if (await sentByHand({ order, refreshToken: request.refreshToken.reveal() })) strike();
      const mayStillSend = (): boolean => {
        at('connection-stands');
        const may = order.defect === 'sends-always' || request.mayStillSend();
        // The request is written in this turn, and its answer cannot come before the next one.
        if (may && order.moment === 'reply-on-its-way') setImmediate(strike);
        return may;
      };
      const reply = await source.refresh({ ...request, mayStillSend });
      at('reply-read');
      return reply;
    },
    streamPage: (request): ReturnType<Source['streamPage']> => {
      at('page-asked');
      return source.streamPage(request);
    },
  }));
}

/** Sends as much of the refresh as the moment is about, and says whether there was anything to send. */
async function sentByHand({
  order,
  refreshToken,
}: {
  readonly order: Order;
  readonly refreshToken: string;
}): Promise<boolean> {
  const spend = { tokenEndpoint: order.tokenEndpoint, refreshToken };
  const blow = blowOf(order);
  const share = blow.after === 'share' ? blow.share : 1;
  switch (order.moment) {
    case 'head-cut':
      await sendPart({ spend, upTo: ({ head }) => 1 + Math.floor((head - 1) * share) });
      return true;
    case 'body-cut':
      await sendPart({ spend, upTo: ({ head, all }) => head + Math.floor((all - head) * share) });
      return true;
    case 'request-sent':
      await sendPart({ spend, upTo: ({ all }) => all });
      return true;
    case 'head-received':
      await sendAndHearHead(spend);
      return true;
    default:
      return false;
  }
}
