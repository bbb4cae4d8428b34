import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildCommandsOf, execFormOf, finalOf } from '../rules/support/dockerfile.ts';
import { readFile } from '../rules/support/files.ts';
import { copyProject, environment, run } from './support.ts';

const BUILD_CAP_MS = 240_000;
const START_CAP_MS = 60_000;
const STOP_CAP_MS = 30_000;
const HEALTH_CAP_MS = 10_000;
const LOOK_EVERY_MS = 250;
const TOOLS = ['typescript', 'vitest', '@biomejs/biome', 'node', 'knip', 'playwright-core'];

const dockerfile = readFile('Dockerfile').text;
/** What the builder is given, by .dockerignore. */
const CONTEXT = [...readFile('.dockerignore').text.matchAll(/^!(.+)$/gm)].flatMap(([, name = '']) => [name]);
/** What npm says when it has no network and has not seen a package before: no fault of the image. */
const NO_REGISTRY = /\b(?:ENOTCACHED|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT)\b/;

const cleanups: (() => Promise<void>)[] = [];
let app = '';
let dataDir = '';
let missing = '';

/** The stages of the Dockerfile by hand, on this machine's npm: builds in one folder, copies to another what the image copies. */
beforeAll(async () => {
  const build = await copyProject({ parts: CONTEXT, linkModules: false });
  const image = await copyProject({ parts: [], linkModules: false });
  cleanups.push(build.remove, image.remove);
  for (const line of buildCommandsOf(dockerfile)) {
    const env = { npm_config_prefer_offline: 'true' };
    const ran = await run({ command: ['sh', '-c', line], cwd: build.path, env, timeoutMs: BUILD_CAP_MS });
    if (ran.code !== 0 && NO_REGISTRY.test(ran.stderr) && process.env['PERENNIAL_REQUIRE_SERVICES'] !== '1') {
      missing = `SKIPPED: NO NPM REGISTRY AND NOT EVERYTHING IN NPM'S CACHE`;
      return;
    }
    expect(ran.code, `${line}\n${ran.stdout}\n${ran.stderr}`).toBe(0);
  }
  app = join(image.path, 'app');
  dataDir = join(image.path, 'data');
  await mkdir(app);
  for (const [, from = ''] of dockerfile.matchAll(/^COPY --from=build \/app\/(\S+)/gm)) {
    await cp(join(build.path, from), join(app, from), { recursive: true, verbatimSymlinks: true });
  }
}, BUILD_CAP_MS);

afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
});

/** Every file with when it was last written. */
async function written(folder: string): Promise<ReadonlyMap<string, number>> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(await Promise.all(files.map(async (file) => [file, (await stat(file)).mtimeMs] as const)));
}

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? String(address.port) : '';
}

/** HEALTHCHECK of the image, as Docker runs it. */
async function isHealthy(env: Readonly<Record<string, string>>): Promise<boolean> {
  const [program = '', ...args] = execFormOf(finalOf(dockerfile, 'HEALTHCHECK') ?? '') ?? [];
  return (await run({ command: [program, ...args], cwd: app, env, timeoutMs: HEALTH_CAP_MS })).code === 0;
}

describe('what the Dockerfile makes', () => {
  test(
    'starts without the tools that built it, is healthy, writes to its data only, and ends with 0 on its stop signal',
    async (context) => {
      if (missing !== '') context.skip(missing);
      const isThere = (name: string): boolean => existsSync(join(app, 'node_modules', name));
      expect(TOOLS.filter(isThere)).toEqual([]);
      expect(['bullmq', 'pg', 'zod'].filter(isThere)).toHaveLength(3);
      const before = await written(app);
      const env = {
        NODE_ENV: 'production',
        PORT: await freePort(),
        DATA_DIR: dataDir,
        KEYS_DIR: `${dataDir}-keys`,
        ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
      };
      expect(await isHealthy(env)).toBe(false);

      const [program = '', ...args] = execFormOf(finalOf(dockerfile, 'CMD') ?? '') ?? [];
      const worker = spawn(program, args, {
        cwd: app,
        env: { ...environment(), ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const said: string[] = [];
      for (const stream of [worker.stdout, worker.stderr]) stream.on('data', (chunk) => said.push(String(chunk)));
      const ended = once(worker, 'exit');
      try {
        const until = performance.now() + START_CAP_MS;
        while (!(await isHealthy(env))) {
          expect(worker.exitCode, said.join('')).toBeNull();
          expect(performance.now(), said.join('')).toBeLessThan(until);
          await wait(LOOK_EVERY_MS);
        }
        worker.kill('SIGTERM');
        expect(finalOf(dockerfile, 'STOPSIGNAL')).toBe('SIGTERM');
        const [code] = await Promise.race([ended, wait(STOP_CAP_MS, ['still running'])]);
        expect(code, said.join('')).toBe(0);
      } finally {
        worker.kill('SIGKILL');
      }
      expect(await written(app)).toEqual(before);
      expect(await readdir(dataDir)).not.toEqual([]);
    },
    START_CAP_MS + STOP_CAP_MS + HEALTH_CAP_MS,
  );

  test('does not start without a key, and says so by name', async (context) => {
    if (missing !== '') context.skip(missing);
    const [program = '', ...args] = execFormOf(finalOf(dockerfile, 'CMD') ?? '') ?? [];
    const ran = await run({
      command: [program, ...args],
      cwd: app,
      env: { DATA_DIR: dataDir },
      timeoutMs: START_CAP_MS,
    });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('ENCRYPTION_KEYS is missing');
  });
});
