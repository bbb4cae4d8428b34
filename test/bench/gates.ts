import { openGateStage } from '../support/gate-stage.ts';
import { bestPlace } from '../support/system-places.ts';
import { median } from './median.ts';

/** Authorizations of each endpoint. */
const EACH = Number(process.env['BENCH_GATES_EACH'] ?? 40);
const ROUNDS = Number(process.env['BENCH_GATES_ROUNDS'] ?? 15);
/** A fast payer. The slower, the less a run that is turned away weighs. */
const LATENCY_MS = Number(process.env['BENCH_GATES_LATENCY_MS'] ?? 250);
const CONCURRENCY = Number(process.env['BENCH_GATES_CONCURRENCY'] ?? 10);
const PROMISE = 0.95;

const WELL = Array.from({ length: 7 }, (_, nth) => `well-${nth}`);
const ILL = ['failing', 'throttling', 'hanging'] as const;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const countsOf = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, EACH]));
const mannerOf = (endpoint: string) => ILL.find((manner) => manner === endpoint) ?? 'well';

async function openStage({ name, names }: { readonly name: string; readonly names: readonly string[] }) {
  const place = await bestPlace();
  const stage = await openGateStage({ place, mannerOf, latencyMs: LATENCY_MS, concurrency: CONCURRENCY });
  await stage.accept(countsOf(names));
  const rounds: number[] = [];
  return { stage, place, name, rounds };
}

/** What three failing endpoints of ten cost the other seven: the same pulls by two workers, one with the three and one without, in turns. Ends with 1 below what is promised. */
const stages = await Promise.all([
  openStage({ name: 'with failing endpoints', names: [...WELL, ...ILL] }),
  openStage({ name: 'without', names: WELL }),
]);
try {
  const wanted = WELL.length * EACH;
  for (const { stage, name } of stages) {
    await stage.start();
    const seconds = await stage.sent({ endpoints: WELL, count: wanted, capMs: 600_000 });
    say(`${name}: ${(wanted / seconds).toFixed(1)} pulls a second while the failing ones are found out`);
  }
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const { stage, rounds } of round % 2 === 0 ? stages : [...stages].reverse()) {
      rounds.push(wanted / (await stage.pullAll(WELL, 600_000)));
    }
  }
  for (const { name, rounds } of stages) {
    say(`${name}: ${median(rounds).toFixed(1)} pulls a second (${rounds.map((rate) => rate.toFixed(0)).join(', ')})`);
  }
  const [withIll, without] = stages.map(({ rounds }) => median(rounds));
  const ratio = (withIll ?? 0) / (without ?? 1);
  say(`the healthy endpoints keep ${(100 * ratio).toFixed(1)} % of their throughput; promised: ${100 * PROMISE} %`);
  process.exitCode = ratio >= PROMISE ? 0 : 1;
} finally {
  for (const { stage, place } of stages) {
    await stage.close();
    await place.close();
  }
}
