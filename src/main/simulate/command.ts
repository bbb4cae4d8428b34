import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { cadenceSchema } from '../../config.ts';
import { faultOf } from '../../contract/wire.ts';
import { adaptiveRangeOf, type CadenceTable } from '../../core/cadence.ts';
import { PerennialError } from '../../core/errors.ts';
import { UNITS } from '../../core/limits.ts';
import { NETWORKS, type NetworkName } from '../../core/networks.ts';
import { progressBar } from '../chart.ts';
import { readJson } from '../read-json.ts';
import { comparisonOf, reportOf } from './report.ts';
import { FAULTS, PRODUCT, type Settings } from './settings.ts';
import { simulate } from './simulate.ts';
import { type Summary, summaryOf } from './summary.ts';

type Output = { readonly write: (text: string) => unknown; readonly isTTY?: boolean };

/** A million takes minutes; ten times as many need ten times the memory. */
const AUTHORIZATIONS_MAX = 10_000_000;
const DAYS_MAX = 366;
const ENDPOINTS_MAX = 10_000;
const THREADS_MAX = 64;
const BAR_COLUMNS = 30;
/** Without a terminal a line of progress at each tenth. */
const TOLD_SHARE = 0.1;

const wholeNumber = (max: number) => z.coerce.number().int().min(1).max(max);
const mixSchema = z
  .string()
  .regex(/^[A-Z0-9_]+=\d{1,6}(?:,[A-Z0-9_]+=\d{1,6})*$/, 'must be like TEFCA_IAS=1,ONC_G10=2')
  .transform((text) => Object.fromEntries(text.split(',').map((part) => part.split('='))))
  .pipe(z.partialRecord(z.enum(NETWORKS), z.coerce.number().int().min(0)))
  .refine((mix) => Object.values(mix).some((share) => share > 0), 'must name a network')
  .transform((mix) => Object.fromEntries(NETWORKS.map((network) => [network, mix[network] ?? 0])))
  .pipe(z.record(z.enum(NETWORKS), z.number()));
const faultsSchema = z
  .string()
  .transform((text) => (text === 'none' ? [] : text === 'all' ? [...FAULTS] : text.split(',')))
  .pipe(z.array(z.enum(FAULTS)));
const optionsSchema = z.strictObject({
  authorizations: wholeNumber(AUTHORIZATIONS_MAX).default(100_000),
  days: wholeNumber(DAYS_MAX).default(30),
  seed: z.coerce
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .default(1),
  endpoints: wholeNumber(ENDPOINTS_MAX).default(200),
  threads: wholeNumber(THREADS_MAX).optional(),
  networks: mixSchema.default({ TEFCA_IAS: 1, CMS_9115: 1, ONC_G10: 1 } satisfies Record<NetworkName, number>),
  faults: faultsSchema.default([...FAULTS]),
  cadence: z.string().optional(),
  compare: z.enum(['adaptive']).optional(),
  adaptive: z.boolean().default(false),
  json: z.boolean().default(false),
});

const USAGE = `usage: perennial simulate [--authorizations N] [--days N] [--seed N] [--endpoints N] [--networks TEFCA_IAS=1,CMS_9115=1,ONC_G10=1]
                          [--cadence FILE.json] [--faults all|none|${FAULTS.join(',')}] [--adaptive] [--compare adaptive] [--threads N] [--json]
`;
const EXIT = { kept: 0, broken: 1, usage: 2 } as const;

/**
 * `perennial simulate`: the decisions of the product on a virtual clock, over a made-up fleet with seeded faults. The same seed shows the same. Resolves to 0, to 1
 * when a promise was broken, to 2 when it was called wrongly.
 */
export async function runSimulate({
  args,
  out,
  err,
}: {
  readonly args: readonly string[];
  readonly out: Output;
  readonly err: Output;
}): Promise<number> {
  let options: z.infer<typeof optionsSchema>;
  let settings: Settings;
  try {
    options = readOptions(args);
    settings = await settingsOf(options);
  } catch (error) {
    err.write(`error: ${error instanceof Error ? error.message : 'called wrongly'}\n${USAGE}`);
    return EXIT.usage;
  }
  const play = async (name: string, chosen: Settings): Promise<Summary> =>
    summaryOf(await simulate({ settings: chosen, tell: createTeller({ err, name }) }));
  if (options.compare === undefined) {
    const summary = await play('simulating', settings);
    out.write(options.json ? `${JSON.stringify(summary, null, 2)}\n` : reportOf(summary));
    return summary.broken === 0 ? EXIT.kept : EXIT.broken;
  }
  const adaptive = await play('adaptive', { ...settings, adaptive: true });
  const fixed = await play('fixed', { ...settings, adaptive: false, cadence: asOften(settings.cadence, adaptive) });
  out.write(options.json ? `${JSON.stringify({ fixed, adaptive }, null, 2)}\n` : comparisonOf({ fixed, adaptive }));
  return fixed.broken + adaptive.broken === 0 ? EXIT.kept : EXIT.broken;
}

/** The table under which a fixed cadence pulls as often as the adaptive one did, and no less: a comparison at equal requests. */
function asOften(table: CadenceTable, { networks }: Summary): CadenceTable {
  const own = networks.flatMap(({ network, meanGapSeconds }) => {
    if (adaptiveRangeOf({ network, endpoint: { id: '' }, cadence: {} }, table) === null) return [];
    const minutes = Math.floor((meanGapSeconds * UNITS.SECOND_MS) / UNITS.MINUTE_MS);
    return [[network, { ...table.networks[network], pullEveryMs: minutes * UNITS.MINUTE_MS }] as const];
  });
  return { ...table, networks: { ...table.networks, ...Object.fromEntries(own) } };
}

function readOptions(args: readonly string[]): z.infer<typeof optionsSchema> {
  const texts = ['authorizations', 'days', 'seed', 'endpoints', 'threads', 'networks', 'faults', 'cadence', 'compare'];
  const options = {
    ...Object.fromEntries(texts.map((name) => [name, { type: 'string' } as const])),
    adaptive: { type: 'boolean' } as const,
    json: { type: 'boolean' } as const,
  };
  const parsed = optionsSchema.safeParse({ ...parseArgs({ args: [...args], options, strict: true }).values });
  if (!parsed.success) throw new PerennialError('invalid_request', { field: faultOf(parsed.error) });
  return parsed.data;
}

/** A day that begins with every fault in it, or none of it; the cadence file is checked as the server checks it. */
async function settingsOf(options: z.infer<typeof optionsSchema>): Promise<Settings> {
  const { cadence: file, threads = availableParallelism(), compare, ...rest } = options;
  const given = file === undefined ? {} : await readJson({ file, stdin: process.stdin });
  const cadence = cadenceSchema.safeParse(given);
  if (!cadence.success) throw new PerennialError('invalid_request', { field: faultOf(cadence.error) });
  const adaptive = compare === undefined && rest.adaptive;
  return {
    ...rest,
    adaptive,
    threads,
    cadence: cadence.data,
    endpoints: Math.min(rest.endpoints, rest.authorizations),
    variant: PRODUCT,
  };
}

/** A bar on a terminal that ends when all is over; elsewhere a line now and then. */
function createTeller({ err, name }: { readonly err: Output; readonly name: string }): (share: number) => void {
  let told = 0;
  return (share) => {
    if (err.isTTY === true) {
      const text = `\r${name} ${progressBar(share, BAR_COLUMNS)}`;
      err.write(share >= 1 ? `\r${' '.repeat(text.length)}\r` : text);
    } else if (share >= told + TOLD_SHARE || (share >= 1 && told < 1)) {
      told = Math.floor(share / TOLD_SHARE) * TOLD_SHARE;
      err.write(`${name}: ${Math.floor(told * 100)} %\n`);
    }
  };
}
