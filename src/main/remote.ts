import { parseArgs } from 'node:util';
import { createHttpApi, type HttpApi } from '../client/http.ts';
import { PerennialUnreachable } from '../client/unreachable.ts';
import { type AuthorizationView, faultOf, idSchema, parseAuthorizationRequest } from '../contract/wire.ts';
import { STATES, type State } from '../core/authorization.ts';
import { PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { calendarOf, eventsOf, listOf, printable, sourcesOf, statusOf } from './print.ts';
import { readJson, UsageError } from './read-json.ts';

type Output = { readonly write: (text: string) => unknown };

/** What each command is given. `stdin` is read for the file `-`. */
export type RemoteOptions = {
  /** Without the command's own name. */
  readonly args: readonly string[];
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly out: Output;
  readonly err: Output;
  readonly stdin?: AsyncIterable<unknown>;
};

/** Ends well; refused by the API; called wrongly; nobody answers. */
const EXIT = { ok: 0, refused: 1, usage: 2, unreachable: 3 } as const;
export type RemoteCommand = (options: RemoteOptions) => Promise<number>;

const USAGES = {
  enqueue: 'perennial enqueue FILE.json|- [--json]',
  list: 'perennial list [--state STATE] [--limit N] [--after ID] [--json]',
  status: 'perennial status ID [--json]',
  purge: 'perennial purge ID [--json]',
  pull: 'perennial pull ID [--json]',
  calendar: 'perennial calendar [--days N] [--limit N] [--json]',
  events: 'perennial events [--after CURSOR] [--limit N] [--json]',
  sources: 'perennial sources [--json]',
} as const;

/** The commands that ask a running Perennial over HTTP. Each resolves to its exit code and never rejects. */
export const REMOTE_COMMANDS: Readonly<Record<keyof typeof USAGES, RemoteCommand>> = {
  enqueue: command({ name: 'enqueue', run: enqueue }),
  list: command({ name: 'list', run: list }),
  status: command({ name: 'status', run: ({ api, input }) => api.status(idOf(input)), print: statusOf }),
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
  calendar: command({ name: 'calendar', run: calendar }),
  events: command({ name: 'events', run: events }),
  sources: command({ name: 'sources', run: sources }),
};

/** The flags of each command that has any beside --json; those commands take no operand. */
const FLAGS: Partial<Readonly<Record<keyof typeof USAGES, readonly string[]>>> = {
  list: ['state', 'limit', 'after'],
  calendar: ['days', 'limit'],
  events: ['after', 'limit'],
  sources: [],
};

type Input = { readonly operands: readonly string[]; readonly flags: Readonly<Record<string, string | undefined>> };
type Turn = { readonly api: HttpApi; readonly input: Input; readonly options: RemoteOptions };
type Shown = { readonly json: unknown; readonly text: string };

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
      return EXIT.ok;
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
  const own = FLAGS[name];
  const text = Object.fromEntries((own ?? []).map((flag) => [flag, { type: 'string' } as const]));
  try {
    const parsed = parseArgs({
      args: [...args],
      options: { ...text, json: { type: 'boolean' } },
      allowPositionals: true,
    });
    const wanted = own === undefined ? 1 : 0;
    if (parsed.positionals.length !== wanted) throw new UsageError(`${name} takes ${wanted} argument(s)`);
    const flags: Record<string, string | undefined> = {};
    for (const [flag, value] of Object.entries(parsed.values)) if (typeof value === 'string') flags[flag] = value;
    return { json: parsed.values.json === true, input: { operands: parsed.positionals, flags } };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError('an unknown option, or one without its value');
  }
}

function idOf({ operands }: Input): string {
  const parsed = idSchema.safeParse(operands[0]);
  if (!parsed.success) throw new PerennialError('invalid_request', { field: faultOf(parsed.error, 'id') });
  return parsed.data;
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

async function list({ api, input }: Turn): Promise<Shown> {
  const { state, after } = input.flags;
  const rows = wholeNumber({ input, flag: 'limit', least: 1, most: LIMITS.listPageMax });
  if (state !== undefined && !isState(state)) throw new UsageError(`--state must be one of ${STATES.join(', ')}`);
  const page = await api.list({
    ...(after === undefined ? {} : { after }),
    ...(rows === undefined ? {} : { limit: rows }),
    ...(state === undefined ? {} : { state }),
  });
  const more = page.next === null ? '' : `more: perennial list --after ${page.next}\n`;
  return { json: page, text: `${listOf(page.authorizations)}${more}` };
}

async function calendar({ api, input }: Turn): Promise<Shown> {
  const withinDays = wholeNumber({ input, flag: 'days', least: 1, most: LIMITS.calendarDaysMax });
  const limit = wholeNumber({ input, flag: 'limit', least: 1, most: LIMITS.listPageMax });
  const found = await api.calendar({
    ...(withinDays === undefined ? {} : { withinDays }),
    ...(limit === undefined ? {} : { limit }),
  });
  return { json: found, text: calendarOf(found) };
}

async function events({ api, input }: Turn): Promise<Shown> {
  const after = wholeNumber({ input, flag: 'after', least: 0, most: Number.MAX_SAFE_INTEGER });
  const limit = wholeNumber({ input, flag: 'limit', least: 1, most: LIMITS.listPageMax });
  const page = await api.events({
    ...(after === undefined ? {} : { after }),
    ...(limit === undefined ? {} : { limit }),
  });
  return { json: page, text: eventsOf(page.events) };
}

async function sources({ api }: Turn): Promise<Shown> {
  const found = await api.sources();
  return { json: found, text: sourcesOf(found) };
}

function wholeNumber({
  input,
  flag,
  least,
  most,
}: {
  readonly input: Input;
  readonly flag: string;
  readonly least: number;
  readonly most: number;
}): number | undefined {
  const text = input.flags[flag];
  if (text === undefined) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${flag} must be ${least} to ${most}`);
}

function isState(word: string): word is State {
  return STATES.some((state) => state === word);
}
