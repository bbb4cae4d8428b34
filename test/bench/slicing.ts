import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createBundleSlicer } from '../../src/core/bundle-stream.ts';
import { searchset } from '../../src/sandbox/bundle.ts';
import { seedDirectory } from '../../src/sandbox/directory.ts';
import { createPatient, recordOf } from '../../src/sandbox/patients.ts';
import type { Figure } from './figure.ts';
import { median } from './median.ts';

/** What a socket or a decompressor hands out at a time. */
const CHUNK_BYTES = 64 * 1024;
/** Slicing and parsing take turns, so that a slow second of the machine meets both. */
const ROUNDS = 40;
/** Until both are compiled. */
const WARM_UP_ROUNDS = 5;
const GOAL = 3;
const MB = 1e6;
const SANDBOX_RESOURCES = 1_500;

const dataDir = new URL('../../../shared/data/synthea/', import.meta.url);

/** Cutting pages into resources against `JSON.parse` of the same bytes, compact and pretty-printed. */
export async function benchSlicing(): Promise<readonly Figure[]> {
  const { name, pages } = existsSync(dataDir) ? syntheaPages() : sandboxPages();
  const values = pages.map((page) => JSON.parse(page.toString()));
  const compact = values.map((value) => Buffer.from(JSON.stringify(value)));
  const pretty = values.map((value) => Buffer.from(JSON.stringify(value, null, 2)));
  return [measure(`slicing ${name}, compact`, compact), measure(`slicing ${name}, pretty-printed`, pretty)];
}

function measure(name: string, pages: readonly Buffer[]): Figure {
  const megabytes = pages.reduce((sum, page) => sum + page.length, 0) / MB;
  const slicing: number[] = [];
  const parsing: number[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
    const sliced = secondsOf(() => pages.reduce((count, page) => count + sliceAll(page), 0));
    const parsed = secondsOf(() => pages.reduce((count, page) => count + parseAll(page), 0));
    if (sliced.result !== parsed.result) throw new Error(`${sliced.result} entries sliced, ${parsed.result} parsed`);
    if (round < WARM_UP_ROUNDS) continue;
    slicing.push(sliced.seconds);
    parsing.push(parsed.seconds);
  }
  // Of each round by itself: what slows the machine for longer than a round slows both.
  const ratios = parsing.map((seconds, round) => seconds / (slicing[round] ?? Number.NaN));
  const [ours, base] = [megabytes / median(slicing), megabytes / median(parsing)];
  return { name, ours, base, unit: 'MB/s', ratio: median(ratios), goal: GOAL };
}

function sliceAll(page: Uint8Array): number {
  const slicer = createBundleSlicer();
  let count = 0;
  for (let at = 0; at < page.length; at += CHUNK_BYTES)
    count += slicer.push(page.subarray(at, at + CHUNK_BYTES)).length;
  const end = slicer.end();
  if (end.kind !== 'bundle' || end.entries !== count) throw new Error('not sliced');
  return count;
}

function parseAll(page: Buffer): number {
  return JSON.parse(page.toString()).entry.length;
}

function secondsOf<T>(work: () => T): { readonly result: T; readonly seconds: number } {
  const startedAt = performance.now();
  const result = work();
  return { result, seconds: (performance.now() - startedAt) / 1_000 };
}

type Pages = { readonly name: string; readonly pages: readonly Buffer[] };

function syntheaPages(): Pages {
  const names = readdirSync(dataDir);
  return { name: 'Synthea', pages: names.map((name) => readFileSync(new URL(encodeURIComponent(name), dataDir))) };
}

/** One patient of each kind of network, as the sandbox serves them. */
function sandboxPages(): Pages {
  const pages = seedDirectory(1)
    .slice(0, 8)
    .map((endpoint, index) => {
      const patient = createPatient({
        seed: 1,
        index,
        endpoint,
        size: SANDBOX_RESOURCES,
        createdAtMs: 0,
        authorizationId: 'a',
      });
      const resources = [...recordOf(patient).values()];
      return searchset({ fhirBase: 'https://fhir.test', resources, links: [], total: null });
    });
  return { name: 'sandbox', pages };
}

if (import.meta.main) {
  for (const { name, ours, base, unit, ratio, goal } of await benchSlicing())
    process.stdout.write(
      `${name}: ${ours.toFixed(0)} ${unit}, JSON.parse ${base.toFixed(0)}: ${ratio.toFixed(2)} (goal ${goal})\n`,
    );
}
