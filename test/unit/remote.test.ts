import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { printable } from '../../src/main/print.ts';
import { REMOTE_COMMANDS, type RemoteOptions } from '../../src/main/remote.ts';
import { CANARIES, requestOf } from '../support/fake-service.ts';
import { KEY, READER_KEY, startWeb, type TestWeb } from '../support/web.ts';

let web: TestWeb;
let folder: string;
beforeAll(async () => {
  web = await startWeb();
  folder = await mkdtemp(join(tmpdir(), 'perennial-remote-'));
});
afterAll(async () => {
  await web.close();
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  web.service.views.clear();
  web.service.requests.clear();
});

async function run(line: string, change: Partial<RemoteOptions> = {}): Promise<Run> {
  let [out, err] = ['', ''];
  const [name = '', ...args] = line.split(' ');
  const command = Object.entries(REMOTE_COMMANDS).find(([known]) => known === name)?.[1];
  if (command === undefined) throw new Error(`no command ${name}`);
  const code = await command({
    args,
    baseUrl: web.url,
    apiKey: KEY,
    out: { write: (text) => (out += text) },
    err: { write: (text) => (err += text) },
    ...change,
  });
  for (const canary of [...CANARIES, KEY]) expect(out + err).not.toContain(canary);
  return { code, out, err };
}

async function file(text: string, name = 'request.json') {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

type Run = { readonly code: number; readonly out: string; readonly err: string };

async function enqueue(id: string): Promise<Run> {
  return await run(`enqueue ${await file(JSON.stringify(requestOf(id)))}`);
}

describe('the commands', () => {
  test('enqueue hands a file over, says when it was known before, and reads standard input for -', async () => {
    expect(await enqueue('r-1')).toEqual({ code: 0, out: 'r-1: accepted; state active\n', err: '' });
    expect((await enqueue('r-1')).out).toBe('r-1: accepted before, nothing changed; state active\n');
    const stdin = (async function* () {
      yield Buffer.from(JSON.stringify(requestOf('r-2')));
    })();
    expect(await run('enqueue - --json', { stdin })).toMatchObject({
      code: 0,
      out: expect.stringContaining('"id": "r-2"'),
    });
  });

  test('calendar lists who ends when and because of what, and says how many have ended already', async () => {
    await enqueue('r-2');
    const [view] = [...web.service.views.values()];
    if (view === undefined) throw new Error('the fake lost it');
    web.service.views.set('r-2', { ...view, endsAt: '2026-07-08T12:00:00.000Z', endsBecause: 'accessGrant' });
    web.service.kept.waiting = 3;
    const { out } = await run('calendar --days 14');
    expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['ID', 'ENDS', 'BECAUSE', 'SOURCE'],
      ['r-2', '2026-07-08T12:00:00.000Z', 'grant at the source', 'flexpa'],
      ['3 ended already and wait for their patient: perennial list --state needs_reauthorization'],
      [''],
    ]);
    web.service.views.clear();
    web.service.kept.waiting = 0;
    expect((await run('calendar')).out).toBe('nobody ends in this time\n');
  });

  test('events and sources print what there is, and say so when there is nothing', async () => {
    expect((await run('events')).out).toBe('no events\n');
    expect((await run('sources')).out).toBe('all sources are well\n');
    const at = '2026-07-01T12:00:00.000Z';
    const event = { at, source: 'flexpa', kind: 'ending', authorizationId: 'r-1', reason: 'consent' } as const;
    web.service.kept.events.push({ ...event, cursor: 7, endsAt: at, daysLeft: 7 });
    web.service.kept.sources.push({ source: 'flexpa', condition: 'suspended', since: at, lastAt: at });
    expect((await run('events --after 6')).out).toMatch(
      /7 +2026-07-01T12:00:00.000Z +ending +r-1 +flexpa +consent, 7 d left/,
    );
    expect(JSON.parse((await run('events --after 7 --json')).out)).toEqual({ events: [], next: 7 });
    expect((await run('sources')).out).toContain('suspended');
    web.service.kept.events.length = 0;
    web.service.kept.sources.length = 0;
  });

  test.each([
    'calendar --days 0',
    'calendar --days x',
    'calendar --limit 0',
    'events --after -1',
    'events --limit 501',
    'sources now',
    'calendar r-1',
  ])('%s is called wrongly, and says how it is called', async (line) => {
    const { code, err } = await run(line);
    expect(code).toBe(2);
    expect(err).toContain('usage: perennial');
  });

  test('status without an id tells of all: states, how late purges are, and the alert in words that nobody overlooks', async () => {
    const quiet = web.service.kept.fleet;
    expect((await run('status')).out.split('\n')).toEqual([
      'at               2026-07-01T12:00:00.000Z',
      'authorizations   2 active, 1 needs_reauthorization',
      'TEFCA_IAS        none late, records 1 h old (p50), 2 h (p99)',
      'purges           0 in the last 7 days',
      'oldest unpurged  none is due',
      'purge alert      none (set from 5 min on)',
      'sources          all are well',
      '',
    ]);
    const late = { ended: 41, lagSeconds: { p50: 0.44, p99: 75 }, oldestUnpurgedSeconds: 7_300, alert: true };
    web.service.kept.fleet = { ...quiet, purges: { ...quiet.purges, ...late }, sourcesInTrouble: 2 };
    const { out, code } = await run('status');
    expect(out).toContain('purges           41 in the last 7 days, lag p50 0.4 s, p99 1 min\n');
    expect(out).toContain('oldest unpurged  2 h past its deadline\n');
    expect(out).toContain('purge alert      ALERT: a purge is more than 5 min late\n');
    expect(out).toContain('sources          2 in trouble: perennial sources\n');
    expect(code, 'it is a report and no check').toBe(0);
    web.service.kept.fleet = quiet;
  });

  test('status says state and why, usage asked and granted, next run, last pull, freshness', async () => {
    await enqueue('r-1');
    const view = web.service.views.get('r-1');
    if (view === undefined) throw new Error('the fake lost r-1');
    web.service.views.set('r-1', {
      ...view,
      usage: 'ONE_TIME',
      usageReason: 'no_refresh_token',
      lastError: 'token_rejected',
    });
    const { code, out } = await run('status r-1');
    expect(code).toBe(0);
    expect(out).toBe(
      [
        'id          r-1',
        'state       active (accepted)',
        'usage       ONE_TIME, asked for MULTIPLE: the source sent no refresh token',
        'network     TEFCA_IAS',
        'source      flexpa, endpoint payer-1 (Payer One)',
        'next run    2026-07-01T18:00:00.000Z, every 6 h',
        'last pull   complete at 2026-07-01T12:00:00.000Z, took 1.3 s',
        'freshness   as of 2026-07-01T12:00:00.000Z, 1 h old, late after 24 h',
        'last error  token_rejected',
        '',
      ].join('\n'),
    );
    expect(JSON.parse((await run('status r-1 --json')).out)).toEqual(web.service.views.get('r-1'));
  });

  test('list shows one aligned row each and how to go on', async () => {
    expect((await run('list')).out).toBe('no authorizations\n');
    await enqueue('r-1');
    await enqueue('r-22');
    const { out } = await run('list --limit 1');
    expect(out).toMatch(/^ID +STATE +USAGE +NETWORK/);
    expect(out).toContain('more: perennial list --after r-1\n');
    expect(JSON.parse((await run('list --after r-1 --json')).out)).toMatchObject({ authorizations: [{ id: 'r-22' }] });
    expect((await run('list --state purged')).out).toBe('no authorizations\n');
  });

  test('purge and pull say what is on its way', async () => {
    await enqueue('r-1');
    expect((await run('pull r-1')).out).toBe('r-1: a pull is asked for; state active\n');
    expect((await run('purge r-1')).out).toBe('r-1: its end is asked for; state purging\n');
    expect(JSON.parse((await run('purge r-1 --json')).out)).toMatchObject({ state: 'purging' });
  });

  test('a name with control characters does not steer the terminal', async () => {
    const request = requestOf('r-1', { endpoint: { id: 'e', name: '\u001b[2Jx' } });
    expect((await run(`enqueue ${await file(JSON.stringify(request))}`)).code).toBe(1);
    expect(printable('\u001b[2Jx')).toBe('?[2Jx');
  });
});

describe('exit codes', () => {
  test('1, with one line: what the API or the contract refuses', async () => {
    const none = await run('status none');
    expect(none).toEqual({ code: 1, out: '', err: 'error: There is no authorization with this id\n' });
    const reader = await run('purge none', { apiKey: READER_KEY });
    expect(reader).toMatchObject({ code: 1, err: 'error: This API key may not do that: scope purge\n' });
    const bad = await run(`enqueue ${await file(JSON.stringify({ ...requestOf('r'), usage: 'OFTEN' }))}`);
    expect(bad).toMatchObject({ code: 1, err: expect.stringMatching(/^error: .*: usage must be one of .*\n$/) });
  });

  test('2, naming what was wrong: flags, operands, files', async () => {
    const broken = await file('{"accessToken": "canary-access-7f3a', 'broken.json');
    const large = await file('x'.repeat(70_000), 'large.json');
    const cases: readonly [string, RegExp][] = [
      [`enqueue ${broken}`, /broken\.json is not JSON/],
      [`enqueue ${large}`, /large\.json is larger than 65536 bytes/],
      [`enqueue ${join(folder, 'absent.json')}`, /absent\.json cannot be read/],
      ['enqueue', /takes 1 argument/],
      ['status a b', /usage: perennial status \[ID\]/],
      ['status a b', /takes 1 argument/],
      ['status a --frobnicate', /unknown option/],
      ['list --limit 0', /--limit must be 1 to 500/],
      ['list --state gone', /--state must be one of pending/],
      ['list extra', /takes 0 argument/],
    ];
    for (const [line, said] of cases) {
      const { code, out, err } = await run(line);
      expect([line, code, out]).toEqual([line, 2, '']);
      expect(err).toMatch(said);
    }
    expect(await run('list', { baseUrl: 'nowhere' })).toMatchObject({
      code: 2,
      err: expect.stringContaining('url must be'),
    });
  });

  test('3: nobody answers, in under 3 s, naming where', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await new Promise((resolve) => server.close(resolve));
    const began = performance.now();
    const { code, err } = await run('list', { baseUrl: `http://127.0.0.1:${port}` });
    expect([code, err]).toEqual([3, `error: Perennial does not answer at http://127.0.0.1:${port}\n`]);
    expect(performance.now() - began).toBeLessThan(3_000);
  });
});
