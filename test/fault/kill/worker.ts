import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createInterface } from 'node:readline';
import { readEnvironment } from '../../../src/config.ts';
import { refreshAndPull } from '../../../src/flows/refresh-and-pull.ts';
import { compose } from '../../../src/main/compose.ts';
import { type Line, type Order, orderSchema } from './orders.ts';
import { rig } from './rig.ts';
import { measureWindow } from './window.ts';

/**
 * A worker process of the kill tests: composed as `perennial worker` is, it waits for one order on its standard input, runs that authorization as its job
 * would, and at the ordered moment ends or stands still by a signal that nothing in it can see coming.
 */
const composition = await compose(readEnvironment());
// A process that is killed writes no cache by itself, and the next ones start three times as fast with it.
flushCompileCache();
say({ said: 'ready' });
for await (const line of createInterface({ input: process.stdin })) {
  const order = orderSchema.parse(JSON.parse(line));
  const window = measureWindow(composition.context);
  const context = rig({ context: window.context, order, strike: striker({ order, widthMs: window.widthMs }) });
  const { authorizationId } = order;
  const signal = new AbortController().signal;
  const outcome = await refreshAndPull({ context, authorizationId, askedFor: false, signal });
  say({ said: 'ended', kind: outcome.kind, reason: outcome.kind === 'failed' ? outcome.code : outcome.reason });
  break;
}
// Also when nobody is left to give orders.
process.exit();

/** Once, synchronously: neither returns to this process before the signal has done its work. */
function striker({ order, widthMs }: { readonly order: Order; readonly widthMs: () => number | null }): () => void {
  let struck = false;
  return () => {
    if (struck) return;
    struck = true;
    say({ said: 'struck', at: Date.now(), windowMs: widthMs() });
    process.kill(process.pid, order.deed === 'kill' ? 'SIGKILL' : 'SIGSTOP');
  };
}

/** Written before it returns, so that a kill right after it loses nothing. */
function say(line: Line): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
