import { planOf } from './print-plan.ts';
import { readJson, UsageError } from './read-json.ts';
import type { Shown, Turn } from './remote-turn.ts';

/** What a cadence file would make of the load, before the server is given it. */
export async function plan({ api, input, options }: Turn): Promise<Shown> {
  const { cadence: file } = input.flags;
  if (file === undefined) throw new UsageError('--cadence FILE.json is missing');
  const found = await api.planLoad(await readJson({ file, stdin: options.stdin ?? process.stdin }));
  return { json: found, text: planOf({ plan: found, columns: options.out.columns ?? COLUMNS }) };
}

/** Where nobody says how wide the terminal is. */
const COLUMNS = 80;
