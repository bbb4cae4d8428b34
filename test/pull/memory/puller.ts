import { openPostgresStore } from '../../../src/adapters/store/postgres.ts';
import { createClock } from '../../../src/adapters/system/clock.ts';
import { createCodec } from '../../../src/adapters/system/codec.ts';
import { openFileVault } from '../../../src/adapters/vault/file.ts';
import { readKeyring } from '../../../src/main/key-settings.ts';
import { notaryOf } from '../../support/notary.ts';
import { newKey } from '../../support/processes.ts';
import { openBench } from '../../support/pull/bench.ts';

/** Pulls one patient's records into a real store, by the limits of production, and tells what it cost this process. */
const [, , baseUrl = '', databaseUrl = '', directory = '', id = '', how = ''] = process.argv;
const clock = createClock({ epochMs: 0, speed: 1 });
const store = await openPostgresStore({ databaseUrl, poolSize: 2, now: clock.now, notary: notaryOf() });
const vault = await openFileVault({ directory, keyring: readKeyring({ ENCRYPTION_KEYS: newKey() }) });
const held: Uint8Array[] = [];
const bench = openBench({
  store,
  vault,
  codec: createCodec(),
  clock,
  baseUrl,
  // A worker that is broken on purpose: it keeps what it reads to the end.
  rigSource: (source) => ({
    ...source,
    streamPage: async (request) => {
      const page = await source.streamPage(request);
      return page.kind === 'page' && how === 'holds' ? { ...page, chunks: holding(page.chunks) } : page;
    },
  }),
});

async function* holding(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    held.push(chunk.slice());
    yield chunk;
  }
}

async function pull(
  patient: string,
): Promise<{ readonly result: string; readonly bytes: number; readonly added: number }> {
  const authorizationId = `${patient}-${process.pid}`;
  await bench.accept({ id: authorizationId, patient });
  const { result, bytes, published } = await bench.pull({ id: authorizationId });
  return { result, bytes, added: published.added };
}

// What is loaded and compiled when a process pulls for the first time is no part of what a record costs.
await pull('1mb-1p');
const before = process.memoryUsage.rss();
const began = performance.now();
const pulled = await pull(id);
const peak = process.resourceUsage().maxRSS * 1024;
process.send?.({ ...pulled, grownMb: (peak - before) / 1e6, seconds: (performance.now() - began) / 1_000 });
await bench.close();
await vault.close();
await store.close();
process.disconnect?.();
