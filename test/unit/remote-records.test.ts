import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { REMOTE_COMMANDS } from '../../src/main/remote.ts';
import { requestOf } from '../support/fake-service.ts';
import { KEY, startWeb, type TestWeb } from '../support/web.ts';

const AT = '2026-07-01T12:00:00.000Z';
const OWNER_ONLY = 0o600;

let web: TestWeb;
let folder: string;
beforeEach(async () => {
  web = await startWeb();
  await web.service.accept({ request: requestOf('r-1'), actor: 'test' });
  folder = await mkdtemp(join(tmpdir(), 'perennial-export-'));
});
afterEach(async () => {
  await web.close();
  await rm(folder, { recursive: true });
});

async function run(name: 'types' | 'suspected' | 'export', ...args: readonly string[]) {
  let [out, err] = ['', ''];
  const [to, errTo] = [{ write: (text: string) => (out += text) }, { write: (text: string) => (err += text) }];
  const code = await REMOTE_COMMANDS[name]({ args, baseUrl: web.url, apiKey: KEY, out: to, err: errTo });
  return { code, out, err };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const read = (name: string) => readFile(join(folder, 'out', name), 'utf8');

test('types prints a row each, and suspected says what became of it', async () => {
  const known = { fullAt: AT, knownUntil: null } as const;
  web.service.kept.types = [
    { resourceType: 'Observation', result: 'partial', held: 30, suspected: { count: 12, since: AT }, ...known },
  ];
  const { out } = await run('types', 'r-1');
  expect(out).toMatch(/^TYPE +LAST PULL +HELD +SUSPECTED REMOVALS/);
  expect(out).toMatch(new RegExp(`Observation +partial +30 +12 since ${AT} +${AT} +-`));
  expect(await run('suspected', 'r-1', 'Observation', 'removed')).toEqual({
    code: 0,
    out: 'r-1: 12 of Observation removed\n',
    err: '',
  });
  expect(await run('suspected', 'r-1', 'Coverage', 'kept')).toMatchObject({
    code: 1,
    err: 'error: No removals of this resource type are suspected\n',
  });
  expect(await run('suspected', 'r-1', 'Coverage', 'gone')).toMatchObject({ code: 2 });
  expect(await run('suspected', 'r-1', 'Coverage')).toMatchObject({ code: 2 });
  expect(web.service.kept.verdicts).toEqual(['service:portal Observation removed']);
});

test('export writes a file for each type, line by line as they are stored, for the owner alone, and a manifest', async () => {
  const long = `{"resourceType":"Binary","data":"${'x'.repeat(300_000)}"}`;
  web.service.stored.cursor = 17;
  web.service.stored.resources = [
    bytes('{"resourceType":"Patient","a":1.00}'),
    bytes(long),
    bytes('{\n "b": "é\\n",\r\n "resourceType": "Patient"\n}'),
  ];
  const { code, out } = await run('export', 'r-1', '--out', join(folder, 'out'));
  expect([code, out]).toEqual([0, `r-1: 3 resources of 2 types in ${join(folder, 'out')}, as of cursor 17\n`]);
  expect(await readdir(join(folder, 'out'))).toEqual(['Binary.ndjson', 'Patient.ndjson', 'manifest.json']);
  expect(await read('Patient.ndjson')).toBe(
    '{"resourceType":"Patient","a":1.00}\n{  "b": "é\\n",   "resourceType": "Patient" }\n',
  );
  expect(await read('Binary.ndjson')).toBe(`${long}\n`);
  const manifest: { transactionTime: string } = JSON.parse(await read('manifest.json'));
  expect(manifest).toEqual({
    transactionTime: expect.stringMatching(/^\d{4}-.*Z$/),
    request: `${web.url}/v1/authorizations/r-1/records`,
    requiresAccessToken: false,
    output: [
      { type: 'Binary', url: 'Binary.ndjson', count: 1 },
      { type: 'Patient', url: 'Patient.ndjson', count: 2 },
    ],
    error: [],
    extension: { cursor: 17 },
  });
  for (const name of await readdir(join(folder, 'out'))) {
    expect((await stat(join(folder, 'out', name))).mode & 0o777).toBe(OWNER_ONLY);
  }
});

test('export leaves a folder with anything in it as it is, takes an empty one, and needs --out', async () => {
  await mkdir(join(folder, 'out'));
  await writeFile(join(folder, 'out', 'Patient.ndjson'), 'older');
  const { code, err } = await run('export', 'r-1', '--out', join(folder, 'out'));
  expect([code, err]).toEqual([2, expect.stringContaining('is not empty')]);
  expect([await readdir(join(folder, 'out')), await read('Patient.ndjson')]).toEqual([['Patient.ndjson'], 'older']);
  expect(web.service.actors).toEqual(['test']);
  await rm(join(folder, 'out', 'Patient.ndjson'));
  expect(await run('export', 'r-1', '--out', join(folder, 'out'))).toMatchObject({ code: 0 });
  expect(await readdir(join(folder, 'out'))).toEqual(['manifest.json']);
  expect(await run('export', 'r-1')).toMatchObject({ code: 2, err: expect.stringContaining('--out DIR') });
});

test.each([
  ['an answer that is cut short', '{"resourceType":"Patient"}', true, 3],
  ['a type that would lead out of the folder', '{"resourceType":"../../Patient"}', false, 1],
  ['a line that is not JSON', '{"resourceType":', false, 1],
])('export leaves nothing behind after %s', async (_what, line, fails, exit) => {
  web.service.stored.resources = (async function* () {
    for (let at = 0; at < 20_000; at += 1) yield bytes('{"resourceType":"Patient","a":"0123456789"}');
    yield bytes(line);
    if (fails) throw new Error('canary-late');
  })();
  const { code, err } = await run('export', 'r-1', '--out', join(folder, 'out'));
  expect(code).toBe(exit);
  expect(err).not.toContain('canary');
  expect(await readdir(folder)).toEqual([]);
});

test('export of an unknown authorization makes no folder', async () => {
  expect(await run('export', 'none', '--out', join(folder, 'out'))).toMatchObject({ code: 1 });
  expect(await readdir(folder)).toEqual([]);
});
