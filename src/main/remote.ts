import { parseArgs } from 'node:util';
import { createHttpApi, type HttpApi } from '../client/http.ts';
import { PerennialUnreachable } from '../client/unreachable.ts';
import { type AuthorizationView, parseAuthorizationRequest } from '../contract/wire.ts';
import { PerennialError } from '../core/errors.ts';
import { printable } from './print.ts';
import { readJson, UsageError } from './read-json.ts';
import { exportAudit, listReceipts, receipt, verifyAudit, verifyReceipts } from './remote-audit.ts';
import { keysStatus, rotateKeys } from './remote-keys.ts';
import { calendar, events, list, sources, status } from './remote-lists.ts';
import { plan } from './remote-plan.ts';
import { exportTo, suspected, types } from './remote-records.ts';
import { type Input, idOf, type RemoteOptions, type Shown, type Turn } from './remote-turn.ts';

export type { RemoteOptions } from './remote-turn.ts';

/** Ends well; refused by the API; called wrongly; nobody answers. */
const EXIT = { ok: 0, refused: 1, usage: 2, unreachable: 3 } as const;
export type RemoteCommand = (options: RemoteOptions) => Promise<number>;

const USAGES = {
  enqueue: 'perennial enqueue FILE.json|- [--json]',
  list: 'perennial list [--state STATE] [--limit N] [--after ID] [--json]',
  status: 'perennial status [ID] [--json]',
  purge: 'perennial purge ID [--json]',
  pull: 'perennial pull ID [--json]',
  release: 'perennial release ID [--json]',
  types: 'perennial types ID [--json]',
  suspected: 'perennial suspected ID TYPE removed|kept [--json]',
  export: 'perennial export ID --out DIR [--json]',
  calendar: 'perennial calendar [--days N] [--limit N] [--json]',
  events: 'perennial events [--after CURSOR] [--limit N] [--json]',
  sources: 'perennial sources [--json]',
  plan: 'perennial plan --cadence FILE.json [--json]',
  receipt: 'perennial receipt ID [--json]',
  'receipts list': 'perennial receipts list [--after NUMBER] [--limit N] [--json]',
  'receipts verify': 'perennial receipts verify [--key JWK.json] [--json], or --file FILE --key JWK.json for one alone',
  'audit verify': 'perennial audit verify [--key JWK.json] [--json]',
  'audit export': 'perennial audit export --out FILE.ndjson [--json]',
  'keys rotate': 'perennial keys rotate [--json]',
  'keys status': 'perennial keys status [--json]',
} as const;

/** The commands that ask a running Perennial over HTTP. Each resolves to its exit code and never rejects. */
export const REMOTE_COMMANDS: Readonly<Record<keyof typeof USAGES, RemoteCommand>> = {
  enqueue: command({ name: 'enqueue', run: enqueue }),
  list: command({ name: 'list', run: list }),
  status: command({ name: 'status', run: status }),
  purge: command({
    name: 'purge',
    run: ({ api, input }) => api.purge(idOf(input)),
    print: (view) => `${view.id}: its end is asked for; state ${view.state}\n`,
  }),
  pull: command({
    name: 'pull',
    run: ({ api, input }) => api.pull(idOf(input)),
    print: (view) => `${view.id}: a pull is asked for; state ${view.state}\n`,
  }),
  release: command({
    name: 'release',
    run: ({ api, input }) => api.release(idOf(input)),
    print: (view) => `${view.id}: runs again; state ${view.state}\n`,
  }),
  types: command({ name: 'types', run: types }),
  suspected: command({ name: 'suspected', run: suspected }),
  export: command({ name: 'export', run: exportTo }),
  calendar: command({ name: 'calendar', run: calendar }),
  events: command({ name: 'events', run: events }),
  sources: command({ name: 'sources', run: sources }),
  plan: command({ name: 'plan', run: plan }),
  receipt: command({ name: 'receipt', run: receipt }),
  'receipts list': command({ name: 'receipts list', run: listReceipts }),
  'receipts verify': command({ name: 'receipts verify', run: verifyReceipts }),
  'audit verify': command({ name: 'audit verify', run: verifyAudit }),
  'audit export': command({ name: 'audit export', run: exportAudit }),
  'keys rotate': command({ name: 'keys rotate', run: rotateKeys }),
  'keys status': command({ name: 'keys status', run: keysStatus }),
};

type Shape = { readonly operands?: number; readonly least?: number; readonly flags?: readonly string[] };

/** How many operands a command takes, where it is not one; how many at least, where fewer do; and its flags beside --json. */
const SHAPES: Partial<Readonly<Record<keyof typeof USAGES, Shape>>> = {
  status: { least: 0 },
  list: { operands: 0, flags: ['state', 'limit', 'after'] },
  suspected: { operands: 3 },
  export: { flags: ['out'] },
  calendar: { operands: 0, flags: ['days', 'limit'] },
  events: { operands: 0, flags: ['after', 'limit'] },
  sources: { operands: 0 },
  plan: { operands: 0, flags: ['cadence'] },
  'receipts list': { operands: 0, flags: ['after', 'limit'] },
  'receipts verify': { operands: 0, flags: ['key'] },
  'audit verify': { operands: 0, flags: ['key'] },
  'audit export': { operands: 0, flags: ['out'] },
  'keys rotate': { operands: 0 },
  'keys status': { operands: 0 },
};

function command(
  spec:
    | { readonly name: keyof typeof USAGES; readonly run: (turn: Turn) => Promise<Shown>; readonly print?: never }
    | {
        readonly name: keyof typeof USAGES;
        readonly run: (turn: Turn) => Promise<AuthorizationView>;
        readonly print: (view: AuthorizationView) => string;
      },
): RemoteCommand {
  return async (options) => {
    let api: HttpApi | null = null;
    try {
      const { json, input } = readArgs({ name: spec.name, args: options.args });
      api = createHttpApi({ url: options.baseUrl, apiKey: options.apiKey });
      const turn = { api, input, options };
      const shown = spec.print === undefined ? await spec.run(turn) : await showOne(spec, turn);
      options.out.write(json ? `${JSON.stringify(shown.json, null, 2)}\n` : shown.text);
      return shown.failed === true ? EXIT.refused : EXIT.ok;
    } catch (error) {
      return explain({ error, name: spec.name, options });
    } finally {
      await api?.close();
    }
  };
}

async function showOne(
  {
    run,
    print,
  }: {
    readonly run: (turn: Turn) => Promise<AuthorizationView>;
    readonly print: (view: AuthorizationView) => string;
  },
  turn: Turn,
): Promise<Shown> {
  const view = await run(turn);
  return { json: view, text: print(view) };
}

function explain({
  error,
  name,
  options,
}: {
  readonly error: unknown;
  readonly name: keyof typeof USAGES;
  readonly options: RemoteOptions;
}): number {
  const say = (text: string) => options.err.write(`error: ${printable(text)}\n`);
  if (error instanceof UsageError) {
    say(error.message);
    options.err.write(`usage: ${USAGES[name]}\n`);
    return EXIT.usage;
  }
  if (error instanceof PerennialUnreachable) {
    say(`${error.message} at ${new URL(options.baseUrl).origin}`);
    return EXIT.unreachable;
  }
  const known = error instanceof PerennialError ? error : new PerennialError('internal');
  say(known.message);
  return known.code === 'config_invalid' ? EXIT.usage : EXIT.refused;
}

function readArgs({ name, args }: { readonly name: keyof typeof USAGES; readonly args: readonly string[] }): {
  readonly json: boolean;
  readonly input: Input;
} {
  const { operands: wanted = 1, least = wanted, flags: own = [] } = SHAPES[name] ?? {};
  const text = Object.fromEntries(own.map((flag) => [flag, { type: 'string' } as const]));
  try {
    const parsed = parseArgs({
      args: [...args],
      options: { ...text, json: { type: 'boolean' } },
      allowPositionals: true,
    });
    const { length } = parsed.positionals;
    if (length < least || length > wanted) throw new UsageError(`${name} takes ${wanted} argument(s)`);
    const flags: Record<string, string | undefined> = {};
    for (const [flag, value] of Object.entries(parsed.values)) if (typeof value === 'string') flags[flag] = value;
    return { json: parsed.values.json === true, input: { operands: parsed.positionals, flags } };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError('an unknown option, or one without its value');
  }
}

async function enqueue({ api, input, options }: Turn): Promise<Shown> {
  const file = input.operands[0] ?? '-';
  const request = parseAuthorizationRequest(await readJson({ file, stdin: options.stdin ?? process.stdin }));
  const { authorization, created } = await api.enqueue(request);
  return {
    json: authorization,
    text: `${authorization.id}: ${created ? 'accepted' : 'accepted before, nothing changed'}; state ${authorization.state}\n`,
  };
}
