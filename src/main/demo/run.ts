import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClock } from '../../adapters/system/clock.ts';
import { createHttpApi } from '../../client/http.ts';
import { createClient } from '../../client.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { startChild } from './children.ts';
import { gather } from './gather.ts';
import { play } from './play.ts';
import { createSandboxControl } from './sandbox-control.ts';
import { DEMO_SPEED } from './scenario.ts';
import { judge } from './verdict.ts';
import { createLiveView } from './view.ts';

const KEYS = { publishableKey: 'pk_test_sandbox', secretKey: 'sk_test_sandbox' };
const EMBEDDED_PORT = '0';

/**
 * `perennial demo [--keep]`: a sandbox and a worker with web, each in its own process, on an embedded database made for the occasion; three virtual
 * days; then every promise is checked. Resolves to 0, or to 1 when one was broken.
 */
export async function runDemo({
  args,
  out,
}: {
  readonly args: readonly string[];
  readonly out: (line: string) => void;
}): Promise<number> {
  const keep = args.includes('--keep');
  // The folder of the keys comes to lie beside that of the data, and both go with the one around them.
  const folder = await mkdtemp(join(tmpdir(), 'perennial-demo-'));
  const dataDir = join(folder, 'data');
  const rate = {
    CLOCK_SPEED: String(DEMO_SPEED),
    CLOCK_EPOCH_MS: String(createClock({ epochMs: 0, speed: 1 }).wallNow()),
  };
  const clock = createClock({ epochMs: Number(rate.CLOCK_EPOCH_MS), speed: DEMO_SPEED });
  const sandbox = startChild({ args: ['sandbox', '--port', '0'], env: rate });
  const stops = [sandbox.stop];
  try {
    out('Starting a sandbox, a worker and an embedded database: nothing else is needed.');
    const sandboxUrl = await sandbox.line(/sandbox listening on (\S+)/);
    const secrets = { apiKey: randomBytes(24).toString('hex'), password: randomBytes(12).toString('hex') };
    const perennial = startChild({
      args: ['start'],
      env: { ...rate, ...environmentOf({ dataDir, sandboxUrl, ...secrets }) },
    });
    stops.unshift(perennial.stop);
    const url = await perennial.line(/"address":"([^"]+)"/);
    out(`Perennial answers at ${url}, the sandbox at ${sandboxUrl}. Over an hour passes each second.\n`);
    const kept = await perform({ url, sandboxUrl, apiKey: secrets.apiKey, clock, out });
    if (keep) {
      out(
        `Still running. Dashboard: ${url}/dashboard (demo / ${secrets.password}). API key: ${secrets.apiKey}. Ctrl-C ends it.`,
      );
      await interrupted();
    }
    return kept ? 0 : 1;
  } finally {
    for (const stop of stops) await stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function perform({
  url,
  sandboxUrl,
  apiKey,
  clock,
  out,
}: {
  readonly url: string;
  readonly sandboxUrl: string;
  readonly apiKey: string;
  readonly clock: Clock;
  readonly out: (line: string) => void;
}): Promise<boolean> {
  const client = createClient({ url, apiKey });
  const api = createHttpApi({ url, apiKey });
  try {
    const control = createSandboxControl({ url: sandboxUrl });
    const played = await play({ client, api, control, clock, view: createLiveView({ out: process.stdout }) });
    out('\nThree days have passed. Nothing changes any more; the last pulls, then the books are compared.');
    const verdict = judge(await gather({ client, control, clock, played, url, apiKey }));
    out(verdict.text);
    return verdict.kept;
  } finally {
    await client.close();
    await api.close();
  }
}

function environmentOf({
  dataDir,
  sandboxUrl,
  apiKey,
  password,
}: {
  readonly dataDir: string;
  readonly sandboxUrl: string;
  readonly apiKey: string;
  readonly password: string;
}): Readonly<Record<string, string>> {
  return {
    DATA_DIR: dataDir,
    PORT: EMBEDDED_PORT,
    ENCRYPTION_KEYS: `demo:${randomBytes(32).toString('base64')}`,
    API_KEYS: `demo:enqueue+read+pull+purge+records=${apiKey}`,
    DASHBOARD_USER: 'demo',
    DASHBOARD_PASSWORD: password,
    SOURCES: JSON.stringify({ sandbox: { kind: 'flexpa', baseUrl: sandboxUrl, ...KEYS } }),
  };
}

function interrupted(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => resolve());
  return promise;
}
