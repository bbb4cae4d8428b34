import { createClock } from '../../../src/adapters/system/clock.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import type { Source } from '../../../src/core/ports/upstream.ts';
import { createStoreModel } from '../model/store.ts';
import type { Tables } from '../model/store-tables.ts';
import { createVaultModel, PLAIN_CODEC } from '../model/vault.ts';
import { type Bench, openBench } from './bench.ts';

const START = Date.UTC(2026, 5, 1);

/** A bench over the store in memory, on a clock that stands until it is moved. */
export type MemoryBench = Bench & {
  readonly tables: Tables;
  readonly now: () => number;
  readonly pass: (ms: number) => void;
};

/** With `journalsEachPage` every page is a checkpoint; else one comes after so many bytes, or so much time. */
export function openMemoryBench({
  baseUrl,
  settings = {},
  journalsEachPage = false,
  rigStore = (store) => store,
  rigSource = (source) => source,
}: {
  readonly baseUrl: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly journalsEachPage?: boolean;
  readonly rigStore?: (store: Store) => Store;
  readonly rigSource?: (source: Source) => Source;
}): MemoryBench {
  let now = START;
  const real = createClock({ epochMs: 0, speed: 1 });
  const stopwatch = () => () => (journalsEachPage ? Number.POSITIVE_INFINITY : 0);
  const clock = { ...real, now: () => now, stopwatch };
  const { store, tables } = createStoreModel({ now: real.wallNow, domainNow: () => now });
  const bench = openBench({
    store: rigStore(store),
    vault: createVaultModel(),
    codec: PLAIN_CODEC,
    clock,
    baseUrl,
    settings,
    rigSource,
  });
  return {
    ...bench,
    tables,
    now: () => now,
    pass: (ms) => {
      now += ms;
    },
  };
}
