import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REMOTE_COMMANDS } from '../../src/main/remote.ts';
import { KEY, startWeb, type TestWeb } from '../support/web.ts';

let web: TestWeb;
let folder: string;
beforeAll(async () => {
  web = await startWeb();
  folder = await mkdtemp(join(tmpdir(), 'perennial-plan-'));
});
afterAll(async () => {
  await web.close();
  await rm(folder, { recursive: true });
});

async function plan(args: readonly string[], columns = 80) {
  let [out, err] = ['', ''];
  const code = await REMOTE_COMMANDS.plan({
    args,
    baseUrl: web.url,
    apiKey: KEY,
    out: { write: (text) => (out += text), columns },
    err: { write: (text) => (err += text) },
  });
  return { code, out, err };
}

async function fileOf(table: unknown): Promise<string> {
  const path = join(folder, 'cadence.json');
  await writeFile(path, JSON.stringify(table));
  return path;
}

describe('perennial plan', () => {
  test('shows the load now and then per network and endpoint, and both as charts on one scale', async () => {
    const { code, out, err } = await plan([
      '--cadence',
      await fileOf({ networks: { TEFCA_IAS: { pullEveryHours: 12 } } }),
    ]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('1440 standing authorizations, 1440 of which get another period');
    expect(out).toMatch(/TEFCA_IAS {2}all {7}1440 +5760 +2880 +6 \/ 4\.0 +4 \/ 2\.0 +18 h/);
    expect(out).toMatch(/TEFCA_IAS {2}payer-1/);
    expect(out).toContain('runs by quarter of an hour, the next 48 h, now:\n60 ███');
    expect(out).toContain('No records become late by the change.');
    const [now = '', then = ''] = out.split('and with the new table:');
    expect(now.match(/█/g)?.length).toBe(2 * (then.match(/█/g)?.length ?? 0));
  });

  test('is no wider than the terminal, and prints JSON for programs', async () => {
    const file = await fileOf({});
    const { out } = await plan(['--cadence', file], 60);
    expect(
      Math.max(
        ...out
          .split('\n')
          .filter((line) => line.includes('█'))
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(60);
    expect(JSON.parse((await plan(['--cadence', file, '--json'])).out)).toEqual(web.service.kept.plan);
  });

  test('says which field of the file is wrong and not what stands in it', async () => {
    const { code, err } = await plan([
      '--cadence',
      await fileOf({ networks: { ONC_G10: { pullEveryHours: 'canary' } } }),
    ]);
    expect(code).toBe(1);
    expect(err).toContain('networks.ONC_G10.pullEveryHours');
    expect(err).not.toContain('canary');
  });

  test.each([[[]], [['--cadence', '/nowhere/at-all.json']], [['--cadense', 'x']]])(
    'called with %j shows its usage',
    async (args) => {
      const { code, err } = await plan(args);
      expect(code).toBe(2);
      expect(err).toContain('usage: perennial plan --cadence FILE.json');
    },
  );
});
