import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createInterface } from 'node:readline';
import { readEnvironment } from '../../../src/config.ts';
import { purge } from '../../../src/flows/purge.ts';
import { compose } from '../../../src/main/compose.ts';
import type { Line } from '../kill/orders.ts';
import { purgeOrderSchema } from './orders.ts';
import { rigPurge } from './rig.ts';

/** A worker process of the kill tests of the purge: it waits for one order on its standard input, purges, and at the ordered moment is gone. */
const { context } = await compose(readEnvironment());
// A process that is killed writes no cache by itself, and the next ones start three times as fast with it.
flushCompileCache();
say({ said: 'ready' });
for await (const line of createInterface({ input: process.stdin })) {
  const order = purgeOrderSchema.parse(JSON.parse(line));
  const rigged = rigPurge({ context, order, strike: striker() });
  const signal = new AbortController().signal;
  const outcome = await purge({ context: rigged, authorizationId: order.authorizationId, signal });
  say({ said: 'ended', kind: outcome.kind, reason: outcome.kind === 'failed' ? outcome.code : outcome.reason });
  break;
}
// Also when nobody is left to give orders.
process.exit();

/** Once, synchronously: it does not return to this process before the signal has done its work. */
function striker(): () => void {
  let struck = false;
  return () => {
    if (struck) return;
    struck = true;
    say({ said: 'struck', at: Date.now(), windowMs: null });
    process.kill(process.pid, 'SIGKILL');
  };
}

/** Written before it returns, so that a kill right after it loses nothing. */
function say(line: Line): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
