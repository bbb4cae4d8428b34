import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ROOT } from '../rules/support/files.ts';
import { copyProject, type Ran, run } from './support.ts';

const PACK_CAP_MS = 120_000;
const RUN_CAP_MS = 60_000;
const BUILT_FROM = ['src', 'jobs', 'package.json', 'tsconfig.json', 'tsconfig.build.json', 'README.md', '.npmrc'];

/** What whoever installs us gets: compiled code, its types, and the papers. */
const SHIPPED =
  /^(?:dist\/(?:src|jobs)\/(?:[\w-]+\/)*[\w-]+\.(?:js|d\.ts)|package\.json|README\.md|CHANGELOG\.md|SECURITY\.md)$/;
const notShipped = (names: readonly string[]): readonly string[] => names.filter((name) => !SHIPPED.test(name));

const CONSUMER = `
import { createClient, PerennialError, PerennialUnreachable } from 'perennial-worker/client';
const client = createClient({ url: 'http://127.0.0.1:9', apiKey: 'x'.repeat(24) });
const request = { id: 'a-1', source: 'flexpa', usage: 'MULTIPLE', network: 'CMS_9115', endpoint: { id: 'e', name: 'E' }, patient: 'Patient/1', publicToken: 'p' };
const said = [];
for (const wanted of [{ ...request, usage: 'SOMETIMES' }, request]) {
  await client.enqueue(wanted).catch((error) =>
    said.push(error instanceof PerennialUnreachable ? 'unreachable' : error instanceof PerennialError ? error.code : 'other'));
}
await client.close();
await import('perennial-worker/dist/src/main.js').catch((error) => said.push(error.code));
console.log(said.join(' '));
`;

const TYPED_CONSUMER = `
import { type Client, createClient, type Enqueued, PerennialError } from 'perennial-worker/client';
const client: Client = createClient({ url: 'http://127.0.0.1:9', apiKey: 'k' });
export const enqueued: Promise<Enqueued> = client.enqueue({
  id: 'a-1', source: 'flexpa', usage: 'MULTIPLE', network: 'CMS_9115', endpoint: { id: 'e', name: 'E' }, patient: 'Patient/1', publicToken: 'p',
});
// @ts-expect-error: one of the two ways is needed
createClient({ apiKey: 'k' });
// @ts-expect-error: a usage that does not exist
client.enqueue({ id: 'a-1', source: 'flexpa', usage: 'SOMETIMES', network: 'CMS_9115', endpoint: { id: 'e', name: 'E' }, patient: 'Patient/1' });
// @ts-expect-error: an id is text
client.status(1);
export const code: PerennialError['code'] = 'invalid_request';
// @ts-expect-error: a code that no answer has
export const wrong: PerennialError['code'] = 'something';
`;

const packageSchema = z.object({ version: z.string(), dependencies: z.record(z.string(), z.string()) });

let consumer = '';
let names: readonly string[] = [];
let version = '';
const cleanups: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const project = await copyProject({ parts: BUILT_FROM, linkModules: true });
  const home = await copyProject({ parts: [], linkModules: false });
  cleanups.push(project.remove, home.remove);
  consumer = home.path;
  await must(
    run({ command: ['npm', 'pack', '--pack-destination', consumer], cwd: project.path, timeoutMs: PACK_CAP_MS }),
  );
  const tarball = (await readdir(consumer)).find((name) => name.endsWith('.tgz')) ?? '';
  const listed = await must(run({ command: ['tar', '-tzf', tarball], cwd: consumer, timeoutMs: RUN_CAP_MS }));
  names = listed.stdout
    .trim()
    .split('\n')
    .map((name) => name.replace(/^package\//, ''));
  const installed = join(consumer, 'node_modules', 'perennial-worker');
  await mkdir(installed, { recursive: true });
  const unpack = ['tar', '-xzf', tarball, '--strip-components=1', '-C', installed] as const;
  await must(run({ command: unpack, cwd: consumer, timeoutMs: RUN_CAP_MS }));
  const parsed = packageSchema.parse(JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')));
  version = parsed.version;
  for (const name of [...Object.keys(parsed.dependencies), '@types/node']) {
    const link = join(consumer, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(ROOT, 'node_modules', name), link);
  }
  await writeFile(join(consumer, 'package.json'), '{ "type": "module" }');
}, PACK_CAP_MS + RUN_CAP_MS);

afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
});

async function must(running: Promise<Ran>): Promise<Ran> {
  const ran = await running;
  expect(ran.code, `${ran.stdout}\n${ran.stderr}`).toBe(0);
  return ran;
}

describe('the packed package', () => {
  test('holds compiled code, types and papers, and nothing else', () => {
    expect(notShipped(names)).toEqual([]);
    expect(names).toEqual(expect.arrayContaining(['dist/src/main.js', 'dist/src/client.js', 'dist/src/client.d.ts']));
    expect(names).toEqual(expect.arrayContaining(['dist/src/sandbox/server.js', 'dist/jobs/purge.js']));
  });

  test.each([
    'test/unit/a.test.ts',
    'src/main.ts',
    '.env',
    'data/keys/a',
    'dist/test/a.js',
    'dist/src/main.ts',
    'docs/a.png',
  ])('would be refused with %s in it', (name) => {
    expect(notShipped([name])).toEqual([name]);
  });

  test('gives other services a client that runs from node_modules, and no way to its inside', async () => {
    await writeFile(join(consumer, 'consumer.js'), CONSUMER);
    const { stdout } = await must(run({ command: ['node', 'consumer.js'], cwd: consumer, timeoutMs: RUN_CAP_MS }));
    expect(stdout.trim()).toBe('invalid_request unreachable ERR_PACKAGE_PATH_NOT_EXPORTED');
  });

  test.each(['nodenext', 'bundler'])('gives them types that hold under moduleResolution %s', async (resolution) => {
    await writeFile(join(consumer, 'consumer.ts'), TYPED_CONSUMER);
    const module = resolution === 'bundler' ? 'esnext' : resolution;
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const flags = ['--noEmit', '--strict', '--target', 'es2024', '--types', 'node', '--skipLibCheck', '--ignoreConfig'];
    await must(
      run({
        command: ['node', tsc, ...flags, '--module', module, '--moduleResolution', resolution, 'consumer.ts'],
        cwd: consumer,
        timeoutMs: RUN_CAP_MS,
      }),
    );
  });

  test('brings the command perennial, which runs as it is', async () => {
    const main = join('node_modules', 'perennial-worker', 'dist', 'src', 'main.js');
    expect((await readFile(join(consumer, main), 'utf8')).split('\n')[0]).toBe('#!/usr/bin/env node');
    const { stdout } = await must(
      run({ command: [join(consumer, main), '--version'], cwd: consumer, timeoutMs: RUN_CAP_MS }),
    );
    expect(stdout.trim()).toBe(version);
  });
});
