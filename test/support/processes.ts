import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createHttpApi, type HttpApi } from '../../src/client/http.ts';
import type { AuthorizationView } from '../../src/contract/wire.ts';
import { COMPILE_CACHE } from './compile-cache.ts';
import type { Place } from './system-places.ts';
import { until } from './system-until.ts';
import { linesOf, sortedRecords, sourcesOf, type World } from './world.ts';

const ENTRY = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** The embedded database is made anew: some 7 s alone, more beside other tests. */
const START_CAP_MS = 60_000;

export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly afterMs: number };

/** One of our own commands as a process of its own, with all that it printed. */
export type Process = {
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The first group of the first line of its standard output that matches. @throws Error when it ends before. */
  readonly line: (pattern: RegExp) => Promise<string>;
  /** Log lines with this event so far. */
  readonly events: (event: string) => readonly string[];
  readonly signal: (signal: NodeJS.Signals) => void;
  readonly exit: Promise<Exit>;
  readonly running: () => boolean;
};

const children = new Set<ChildProcess>();

/** Runs `node src/main.ts ...args` with exactly this environment, away from anybody's `.env`; or another entry, which a test has broken on purpose. */
export function startProcess({
  args,
  env,
  stdin,
  entry = ENTRY,
}: {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly entry?: string;
}): Process {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [entry, ...args], {
    env: { ...COMPILE_CACHE, ...env },
    cwd: tmpdir(),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  children.add(child);
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin ?? '');
  const out: string[] = [];
  const errors: string[] = [];
  const read = createInterface({ input: child.stdout }).on('line', (line) => out.push(line));
  const closed = new Promise<void>((resolve) => read.once('close', resolve));
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString('utf8')));
  const exit = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => {
      children.delete(child);
      const afterMs = performance.now() - startedAt;
      void closed.then(() => resolve({ code, signal, afterMs }));
    });
  });
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  return {
    stdout: () => out.map((line) => `${line}\n`).join(''),
    stderr: () => errors.join(''),
    line: async (pattern) => {
      const look = (): string | undefined =>
        out.map((line) => pattern.exec(line)?.[1]).find((found) => found !== undefined);
      const ended = (): boolean => !running() && look() === undefined;
      const found = await until(`a line like ${pattern}`, look, (line) => line !== undefined || ended(), {
        capMs: START_CAP_MS,
      });
      if (found === undefined) throw new Error(`it ended first: ${errors.join('')}${out.slice(-5).join('\n')}`);
      return found;
    },
    events: (event) => out.filter((line) => line.includes(`"event":"${event}"`)),
    signal: (signal) => void child.kill(signal),
    exit,
    running,
  };
}

/** Runs a command that ends by itself. */
export async function runToEnd(
  options: Parameters<typeof startProcess>[0],
): Promise<Exit & Pick<Process, 'stdout' | 'stderr'>> {
  const child = startProcess(options);
  return { ...(await child.exit), stdout: child.stdout, stderr: child.stderr };
}

/** Ends what a failed test left running. */
export async function killLeftovers(): Promise<void> {
  const left = [...children];
  for (const child of left) child.kill('SIGKILL');
  await Promise.all(
    left.map((child) =>
      until(
        'it is gone',
        () => children.has(child),
        (there) => !there,
      ),
    ),
  );
}

export function newKey(): string {
  return `test:${randomBytes(32).toString('base64')}`;
}

/** The key of a caller that may do everything. */
export const API_KEY = 'test-key-of-a-caller-that-may-do-everything';

/** The environment of a Perennial at `place` that talks to `world`. */
export function settingsOf({
  place,
  world,
  encryptionKeys,
  more = {},
}: {
  readonly place: Pick<Place, 'settings'>;
  readonly world: Pick<World, 'url' | 'rate'>;
  readonly encryptionKeys: string;
  readonly more?: Readonly<Record<string, string>>;
}): Readonly<Record<string, string>> {
  return {
    ...place.settings,
    ...world.rate,
    ENCRYPTION_KEYS: encryptionKeys,
    API_KEYS: `test:enqueue+read+pull+purge+records+token=${API_KEY}`,
    SOURCES: sourcesOf(world),
    PORT: '0',
    ...more,
  };
}

export type Served = Process & {
  readonly url: string;
  readonly api: HttpApi;
  /** The stored records, a line each, sorted; null where reads are refused. */
  readonly records: (id: string) => Promise<readonly string[] | null>;
  readonly reaches: (
    id: string,
    what: string,
    fits: (view: AuthorizationView) => boolean,
    capMs?: number,
  ) => Promise<AuthorizationView>;
};

/** Starts `perennial start` or `perennial web` and waits until it answers. */
export async function serve({
  command,
  env,
}: {
  readonly command: 'start' | 'web';
  readonly env: Readonly<Record<string, string>>;
}): Promise<Served> {
  const child = startProcess({ args: [command], env });
  const url = await child.line(/"event":"web_started","address":"([^"]+)"/);
  const api = createHttpApi({ url, apiKey: API_KEY });
  void child.exit.then(() => api.close());
  return {
    ...child,
    url,
    api,
    records: async (id) => {
      const headers = { authorization: `Bearer ${API_KEY}` };
      const response = await fetch(`${url}/v1/authorizations/${id}/records`, { headers });
      const text = await response.text();
      return response.status === 200 ? sortedRecords(linesOf(text)) : null;
    },
    reaches: (id, what, fits, capMs) =>
      until(`${id}: ${what}`, () => api.status(id), fits, capMs === undefined ? {} : { capMs }),
  };
}

/** A port that nobody used a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}
