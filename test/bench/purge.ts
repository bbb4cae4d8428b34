import { readEnvironment } from '../../src/config.ts';
import { purgesOf } from '../../src/flows/fleet.ts';
import { compose } from '../../src/main/compose.ts';
import { startWorker } from '../../src/main/run.ts';
import { makeDueAtOnce } from '../support/due-at-once.ts';
import { newKey } from '../support/processes.ts';
import { bestPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { sourcesOf, startWorld } from '../support/world.ts';

/** All due in the same millisecond, at one worker. */
const COUNT = Number(process.env['BENCH_PURGES'] ?? 10_000);
/** Their jobs are in the queue by then. */
const AHEAD_MS = Math.max(5_000, 12 * COUNT);
const PROMISE_S = 60;
const TELL_EVERY_MS = 5_000;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** How late the receipts of purges are that are all due at once. Ends with 1 if the p99 is over what is promised. */
const world = await startWorld({ speed: 1 });
const place = await bestPlace();
const environment = readEnvironment({
  ...place.settings,
  ...world.rate,
  ENCRYPTION_KEYS: newKey(),
  SOURCES: sourcesOf(world),
  LOG_LEVEL: 'error',
});
const composition = await compose(environment);
const { context } = composition;
try {
  const link = await world.link({ usage: 'ONE_TIME', exchanged: true, size: 1 });
  const madeAt = performance.now();
  const due = await makeDueAtOnce({ context, link, count: COUNT, inMs: AHEAD_MS });
  const aheadMs = due - context.clock.now();
  say(
    `${COUNT} authorizations made in ${((performance.now() - madeAt) / 1_000).toFixed(0)} s, due in ${(aheadMs / 1_000).toFixed(0)} s`,
  );
  const worker = await startWorker({ composition, environment });
  let toldAt = performance.now();
  const look = async () => {
    const purges = await purgesOf(context);
    if (performance.now() - toldAt > TELL_EVERY_MS) {
      toldAt = performance.now();
      say(`${purges.ended} purged, oldest unpurged ${purges.oldestUnpurgedSeconds?.toFixed(1) ?? '-'} s`);
    }
    return purges;
  };
  const { lagSeconds } = await until('all are purged', look, ({ ended }) => ended === COUNT, {
    capMs: 20 * 60_000,
    everyMs: 500,
  });
  const { p50, p99 } = lagSeconds ?? { p50: Number.NaN, p99: Number.NaN };
  say(
    `deadline to receipt: p50 ${p50.toFixed(1)} s, p99 ${p99.toFixed(1)} s, ${(COUNT / p99).toFixed(0)} a second; promised p99 <= ${PROMISE_S} s`,
  );
  process.exitCode = p99 <= PROMISE_S ? 0 : 1;
  await worker.stop();
} finally {
  await composition.close();
  await world.close();
  await place.close();
}
