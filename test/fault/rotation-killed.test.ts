import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { openFileKeyStore, openFileVault } from '../../src/adapters/vault/file.ts';
import { openPostgresKeyStore, openPostgresVault } from '../../src/adapters/vault/postgres.ts';
import { readEnvironment } from '../../src/config.ts';
import type { Vault } from '../../src/core/ports/vault.ts';
import { accept as acceptRequest } from '../../src/flows/accept.ts';
import { refreshAndPull } from '../../src/flows/refresh-and-pull.ts';
import { createService } from '../../src/flows/serve.ts';
import { type Composition, compose } from '../../src/main/compose.ts';
import { readKeyring } from '../../src/main/key-settings.ts';
import { bytesIn } from '../contract/vault/key-files.ts';
import {
  API_KEY,
  killLeftovers,
  newKey,
  type Process,
  runToEnd,
  type Served,
  serve,
  settingsOf,
  startProcess,
} from '../support/processes.ts';
import { embeddedPlace, findServices, type Place, productionPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { requestOf, startWorld, type World } from '../support/world.ts';

/** Keys beside those of the living authorizations: a rotation of several pages, which a blow falls into the middle of. */
const MORE_KEYS = 600;
const LIVING = 6;
const SOAK = process.env['PERENNIAL_SOAK'] === '1';
const CAP_MS = 240_000;
const API_KEYS = `test:enqueue+read+pull+purge+records+token+operate=${API_KEY}`;

const sumSchema = z.strictObject({
  currentKeyId: z.literal('new'),
  rewrapped: z.number(),
  current: z.number(),
  gone: z.number(),
  unreadable: z.number(),
});

const services = await findServices();
const { postgres, redisUrl } = services;

afterAll(killLeftovers);

const PLACES = ['files', 'a key database', 'files, beside an embedded database'] as const;
type Where = (typeof PLACES)[number];

describe('a rotation of the keys that is killed', () => {
  test.each(placesToTry())(
    'is gone on with, while reads, acceptances and purges go on: every key is wrapped anew, and the old key may go (keys in %s)',
    async (where) => {
      const place = await placeOf(where);
      onTestFinished(place.close);
      const world = await startWorld({ speed: 1 });
      onTestFinished(world.close);
      await killedAndGoneOnWith({ place, world });
    },
    CAP_MS,
  );
});

/** One of them always: where the services are, the embedded database costs more than it tells. */
function placesToTry(): readonly Where[] {
  if (postgres === null || redisUrl === null) return [PLACES[2]];
  return SOAK ? PLACES : [PLACES[0]];
}

async function placeOf(where: Where): Promise<Place> {
  if (where === PLACES[2] || postgres === null || redisUrl === null) return embeddedPlace();
  const production = await productionPlace({ postgres, redisUrl });
  const { KEY_DATABASE_URL: _, ...inFiles } = production.settings;
  return where === 'files' ? { ...production, settings: inFiles } : production;
}

async function killedAndGoneOnWith({ place, world }: { readonly place: Place; readonly world: World }): Promise<void> {
  const old = `old:${secretOf(newKey())}`;
  const next = `new:${secretOf(newKey())}`;
  const start = (encryptionKeys: string) =>
    serve({ command: 'start', env: settingsOf({ place, world, encryptionKeys, more: { API_KEYS } }) });
  const newRequest = async (id: string) => requestOf(await world.link({ exchanged: true, size: 2 }), { id });
  const ids = Array.from({ length: LIVING }, (_, index) => `living-${index}`);
  await inHere({ place, world, encryptionKeys: old }, async ({ context }) => {
    for (const id of ids) {
      await acceptRequest({ context, request: await newRequest(id), actor: 'test' });
      await refreshAndPull({ context, authorizationId: id, askedFor: true, signal: new AbortController().signal });
    }
  });
  await withVault({ place, encryptionKeys: old }, async (vault) => {
    for (let index = 0; index < MORE_KEYS; index += 1) await vault.create(`more-${index}`);
  });
  const before = await wrapsIn(place);

  const second = await start(`${next},${old}`);
  const broken = rotate(second);
  await until(
    'a page is done',
    () => broken.stderr(),
    (said) => /\d rewrapped/.test(said),
    { everyMs: 1 },
  );
  await ended(second, 'SIGKILL');
  expect((await broken.exit).code).toBe(3);
  const told = Number(/(\d+) rewrapped[^\r]*$/.exec(broken.stderr().trimEnd())?.[1]);

  const third = await start(`${next},${old}`);
  const going = rotate(third);
  const reading = ids.map((id) => third.records(id));
  await Promise.all([third.api.enqueue(await newRequest('young')), third.api.purge('living-0')]);
  await third.reaches('young', 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
  await third.reaches('living-0', 'purged', ({ state }) => state === 'purged');
  const reads = await Promise.all(reading.slice(1));
  expect(reads.filter((lines) => (lines?.length ?? 0) === 0)).toStrictEqual([]);
  expect((await going.exit).code, going.stderr()).toBe(0);
  const sum = sumSchema.parse(JSON.parse(going.stdout()));
  // What the blow cut off was done and not told, or not done: it is current now, or wrapped now, and nothing is counted twice.
  expect(sum.unreadable).toBe(0);
  expect(sum.current).toBeGreaterThanOrEqual(told);
  expect(told).toBeGreaterThan(0);
  expect(sum.rewrapped).toBeGreaterThan(0);
  expect(Math.abs(before.length - (sum.rewrapped + sum.current + sum.gone))).toBeLessThanOrEqual(1);
  await expectAllCurrent({ server: third, count: before.length });
  await ended(third, 'SIGTERM');

  const kept = await keptBytes(place);
  expect(before.filter((wrapped) => kept.includes(Buffer.from(wrapped).subarray(-40)))).toStrictEqual([]);
  await inHere({ place, world, encryptionKeys: next }, async ({ context }) => {
    const service = createService(context);
    for (const id of [...ids.slice(1), 'young'])
      expect((await service.types({ id, actor: 'test' })).types.length, id).toBeGreaterThan(0);
  });
  const refused = { code: 'config_invalid', field: expect.stringMatching(/^ENCRYPTION_KEYS/) };
  await expect(inHere({ place, world, encryptionKeys: old }, async () => undefined)).rejects.toMatchObject(refused);
}

/** A Perennial in this process, of which nothing runs by itself. */
async function inHere(
  { place, world, encryptionKeys }: { readonly place: Place; readonly world: World; readonly encryptionKeys: string },
  act: (composition: Composition) => Promise<void>,
): Promise<void> {
  const composition = await compose(
    readEnvironment({ ...settingsOf({ place, world, encryptionKeys }), LOG_LEVEL: 'silent' }),
  );
  try {
    await act(composition);
  } finally {
    await composition.close();
  }
}

const secretOf = (entry: string): string => entry.split(':')[1] ?? '';

function rotate(server: Served): Process {
  const env = { PERENNIAL_URL: server.url, PERENNIAL_API_KEY: API_KEY };
  return startProcess({ args: ['keys', 'rotate', '--json'], env });
}

async function ended(server: Served, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  server.signal(signal);
  await server.exit;
}

/** One page may have been in its last step when the other command saw it; one key was purged and one accepted. */
async function expectAllCurrent({ server, count }: { readonly server: Served; readonly count: number }): Promise<void> {
  const env = { PERENNIAL_URL: server.url, PERENNIAL_API_KEY: API_KEY };
  const { stdout } = await runToEnd({ args: ['keys', 'status', '--json'], env });
  expect(JSON.parse(stdout())).toStrictEqual({
    currentKeyId: 'new',
    unreadable: 0,
    keys: [{ keyId: 'new', held: true, wraps: count }],
  });
}

async function withVault(
  { place: { settings, keysDir }, encryptionKeys }: { readonly place: Place; readonly encryptionKeys: string },
  act: (vault: Vault) => Promise<void>,
): Promise<void> {
  const { KEY_DATABASE_URL: databaseUrl } = settings;
  const keyring = readKeyring({ ENCRYPTION_KEYS: encryptionKeys });
  const vault =
    databaseUrl === undefined
      ? await openFileVault({ directory: keysDir, keyring })
      : await openPostgresVault({ databaseUrl, keyring, poolSize: 1 });
  await act(vault);
  await vault.close();
}

async function wrapsIn({ settings, keysDir }: Place): Promise<readonly Uint8Array[]> {
  const { KEY_DATABASE_URL: databaseUrl } = settings;
  const keys =
    databaseUrl === undefined
      ? await openFileKeyStore(keysDir)
      : await openPostgresKeyStore({ databaseUrl, poolSize: 1 });
  const { kept } = await keys.list({ after: null, limit: 10_000 });
  await keys.close();
  return kept.map(({ wrapped }) => wrapped);
}

/** All that the key store keeps now: whole files, or the rows of a database, whose own files give up what was replaced when it is vacuumed. */
async function keptBytes(place: Place): Promise<Buffer> {
  return place.settings['KEY_DATABASE_URL'] === undefined
    ? bytesIn(place.keysDir)
    : Buffer.concat((await wrapsIn(place)).map((wrapped) => Buffer.from(wrapped)));
}
