import { readEnvironment } from '../../src/config.ts';
import type { Service } from '../../src/contract/service.ts';
import type { Context } from '../../src/flows/context.ts';
import { createService } from '../../src/flows/serve.ts';
import { sweepRuns, URGENT_SWEEPS } from '../../src/flows/sweep.ts';
import { compose } from '../../src/main/compose.ts';
import { newKey } from './processes.ts';
import type { Place } from './system-places.ts';
import type { World } from './world.ts';

/** A composed Perennial of which nothing runs by itself: tests run its flows, at the time they choose. */
export type House = { readonly context: Context; readonly service: Service; readonly close: () => Promise<void> };

export async function openHouse({
  place,
  world,
  sources,
}: {
  readonly place: Place;
  readonly world: World;
  readonly sources: string;
}): Promise<House> {
  const { context, close } = await compose(
    readEnvironment({
      ...place.settings,
      ...world.rate,
      ENCRYPTION_KEYS: newKey(),
      SOURCES: sources,
      LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'silent',
    }),
  );
  return { context, service: createService(context), close };
}

/** The same house after some time, in which nobody worked. */
export function later(context: Context, byMs: number): Context {
  const wallNow = async () => (await context.store.wallNow()) + byMs;
  return { ...misled(context, byMs), store: { ...context.store, wallNow } };
}

/** The same house with a clock of its own that is wrong; the store's is right. */
export function misled(context: Context, byMs: number): Context {
  return { ...context, clock: { ...context.clock, now: () => context.clock.now() + byMs } };
}

/** One look of every kind at the store, and all that it leads to. */
export async function sweepOnce(context: Context): Promise<void> {
  const signal = new AbortController().signal;
  await Promise.all([...URGENT_SWEEPS, sweepRuns].map((sweep) => sweep({ context, signal })));
}
