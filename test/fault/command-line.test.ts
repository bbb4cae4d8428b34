import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { authorizationViewSchema } from '../../src/contract/wire.ts';
import { temporaryFolder } from '../support/databases.ts';
import { API_KEY, killLeftovers, newKey, runToEnd, type Served, serve, settingsOf } from '../support/processes.ts';
import { bestPlace, type Place } from '../support/system-places.ts';
import { linesOf, requestOf, sortedRecords, startWorld, type World } from '../support/world.ts';

const NOBODY_LISTENS = 'http://127.0.0.1:1';

let world: World;
let place: Place;
let server: Served;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  world = await startWorld({ speed: 1 });
  place = await bestPlace();
  folder = await temporaryFolder();
  server = await serve({ command: 'start', env: settingsOf({ place, world, encryptionKeys: newKey() }) });
});

afterAll(async () => {
  await killLeftovers();
  await world.close();
  await place.close();
  await folder.remove();
});

describe('the command line against a running Perennial', () => {
  test('hands over from a file and from standard input, shows, pulls and purges', async () => {
    const first = await world.link({});
    const second = await world.link({ usage: 'ONE_TIME' });
    const file = join(folder.path, 'first.json');
    const text = JSON.stringify(requestOf(first, { id: 'from-file' }));
    await writeFile(file, text);
    const stdin = JSON.stringify(requestOf(second, { id: 'from-stdin', usage: 'ONE_TIME' }));
    const [fromFile, fromStdin] = await Promise.all([
      perennial(['enqueue', file]),
      perennial(['enqueue', '-', '--json'], stdin),
    ]);
    expect(fromFile).toMatchObject({ code: 0, stderr: '' });
    expect(fromFile.stdout).toMatch(/^from-file: accepted; state (pending|active)\n$/);
    expect(fromStdin).toMatchObject({ code: 0, stderr: '' });
    expect(authorizationViewSchema.parse(JSON.parse(fromStdin.stdout))).toMatchObject({
      id: 'from-stdin',
      usage: 'ONE_TIME',
    });
    for (const id of ['from-file', 'from-stdin']) {
      await server.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    }

    const [again, status, statusJson, list, listJson] = await Promise.all([
      perennial(['enqueue', file]),
      perennial(['status', 'from-file']),
      perennial(['status', 'from-file', '--json']),
      perennial(['list']),
      perennial(['list', '--json', '--state', 'active', '--limit', '1']),
    ]);
    expect(again.stdout).toBe('from-file: accepted before, nothing changed; state active\n');
    expect(status.stdout).toMatch(/state +active \(exchanged\)/);
    expect(status.stdout).toMatch(/usage +MULTIPLE, as asked for/);
    expect(authorizationViewSchema.parse(JSON.parse(statusJson.stdout))).toEqual({
      ...(await server.api.status('from-file')),
      freshness: expect.objectContaining({ late: false }),
    });
    expect(list.stdout).toMatch(/from-file +active/);
    expect(list.stdout).toMatch(/from-stdin +active +ONE_TIME/);
    expect(JSON.parse(listJson.stdout)).toMatchObject({ authorizations: [{ id: 'from-file' }], next: 'from-file' });
    expect([again, status, statusJson, list, listJson].map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);

    const changed = await world.change(first.patient, { add: 2 });
    expect(changed.added).toHaveLength(2);
    const pull = await perennial(['pull', 'from-file']);
    expect(pull).toMatchObject({ code: 0, stdout: 'from-file: a pull is asked for; state active\n' });
    await server.reaches('from-file', 'pulled again', ({ lastPull }) => lastPull !== null);
    const purge = await perennial(['purge', 'from-file']);
    expect(purge).toMatchObject({ code: 0 });
    expect(purge.stdout).toMatch(/^from-file: its end is asked for; state purg/);
    await server.reaches('from-file', 'purged', ({ state }) => state === 'purged');
    expect((await world.row(first.authorizationId)).revocations).toBe(1);
  });

  test('exports what the source holds, line by line as it was sent, a file for each type', async () => {
    const link = await world.link({});
    await server.api.enqueue(requestOf(link, { id: 'exported' }));
    await server.reaches('exported', 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    const out = join(folder.path, 'exported');
    const exported = await perennial(['export', 'exported', '--out', out]);
    expect(exported).toMatchObject({ code: 0, stderr: '' });
    const files = (await readdir(out)).filter((name) => name.endsWith('.ndjson'));
    const texts = await Promise.all(files.map((name) => readFile(join(out, name), 'utf8')));
    const lines = texts.flatMap(linesOf);
    expect(sortedRecords(lines)).toEqual(await world.records(link.patient));
    for (const [index, name] of files.entries()) {
      const types = linesOf(texts[index] ?? '').map((line) =>
        z.object({ resourceType: z.string() }).parse(JSON.parse(line)),
      );
      expect(new Set(types.map(({ resourceType }) => resourceType))).toEqual(new Set([name.split('.')[0]]));
    }
  });

  test('each way to fail has its exit code and one clear line, and no value of the request in it', async () => {
    const link = await world.link({});
    const broken = join(folder.path, 'broken.json');
    await writeFile(broken, '{"id": "canary5ecret"');
    const unfit = JSON.stringify({ ...requestOf(link, { id: 'unfit' }), usage: 'canary5ecret' });
    const outcomes = await Promise.all([
      perennial(['status', 'nobody']),
      perennial(['enqueue', '-'], unfit),
      perennial(['enqueue', broken]),
      perennial(['list'], '', { PERENNIAL_API_KEY: 'canary5ecret-and-some-more-of-it' }),
      perennial(['list'], '', { PERENNIAL_URL: NOBODY_LISTENS }),
      perennial(['list'], '', { PERENNIAL_API_KEY: '' }),
    ]);
    expect(outcomes.map(({ code }) => code)).toEqual([1, 1, 2, 1, 3, 1]);
    const [unknown, badField, notJson, refused, unreachable, noKey] = outcomes;
    expect(unknown?.stderr).toBe('error: There is no authorization with this id\n');
    expect(badField?.stderr).toMatch(/^error: .*usage must be one of ONE_TIME, MULTIPLE\n$/);
    expect(notJson?.stderr).toMatch(/broken\.json is not JSON/);
    expect(refused?.stderr).toBe('error: A valid API key is needed\n');
    expect(unreachable?.stderr).toBe(`error: Perennial does not answer at ${NOBODY_LISTENS}\n`);
    expect(noKey?.stderr).toMatch(/PERENNIAL_API_KEY is missing/);
    for (const { stdout, stderr } of outcomes) {
      expect(stdout).toBe('');
      expect(stderr).not.toContain('canary5ecret');
      expect(stderr).not.toContain(link.publicToken);
    }
    await expect(server.api.status('unfit')).rejects.toMatchObject({ code: 'authorization_not_found' });
  });
});

async function perennial(args: readonly string[], stdin = '', env: Readonly<Record<string, string>> = {}) {
  const run = await runToEnd({ args, stdin, env: { PERENNIAL_URL: server.url, PERENNIAL_API_KEY: API_KEY, ...env } });
  return { code: run.code, stdout: run.stdout(), stderr: run.stderr() };
}
