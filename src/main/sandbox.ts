import { parseArgs } from 'node:util';
import closeWithGrace from 'close-with-grace';
import { createClock } from '../adapters/system/clock.ts';
import { readEnvironment } from '../config.ts';
import { PerennialError } from '../core/errors.ts';
import { startSandbox } from '../sandbox/server.ts';

const DEFAULT_SEED = 1;
const DEFAULT_PORT = 4_010;

/** `perennial sandbox [--port N] [--seed N]`: runs the Flexpa-compatible upstream until a signal, and prints its address. */
export async function runSandbox({
  args,
  out,
}: {
  readonly args: readonly string[];
  readonly out: (line: string) => void;
}): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { port: { type: 'string' }, seed: { type: 'string' } },
  });
  const environment = readEnvironment();
  const clock = createClock({ epochMs: environment.CLOCK_EPOCH_MS, speed: environment.CLOCK_SPEED });
  const sandbox = await startSandbox({
    port: wholeNumber({ name: '--port', text: values.port, fallback: DEFAULT_PORT }),
    seed: wholeNumber({ name: '--seed', text: values.seed, fallback: DEFAULT_SEED }),
    clock: { now: clock.now, toWallMs: clock.toWallMs, wallNow: clock.wallNow },
  });
  closeWithGrace({ logger: false }, () => sandbox.close());
  out(`sandbox listening on ${sandbox.url}`);
}

function wholeNumber({
  name,
  text,
  fallback,
}: {
  readonly name: string;
  readonly text: string | undefined;
  readonly fallback: number;
}): number {
  if (text === undefined) return fallback;
  if (!/^\d{1,9}$/.test(text)) throw new PerennialError('invalid_request', { field: `${name} must be a whole number` });
  return Number(text);
}
