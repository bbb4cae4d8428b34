import { cp, readdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readEnvironment } from '../../src/config.ts';
import { createService } from '../../src/flows/serve.ts';
import { type Composition, compose } from '../../src/main/compose.ts';
import { newKey } from '../support/processes.ts';
import { findServices, missingOf, type Place, productionPlace, type Services } from '../support/system-places.ts';

const SOURCES = JSON.stringify({
  loopback: { kind: 'flexpa', publishableKey: 'pk', secretKey: 'sk', baseUrl: 'http://127.0.0.1:1' },
});
const REQUEST = {
  id: 'kept',
  source: 'loopback',
  usage: 'MULTIPLE',
  network: 'CMS_9115',
  endpoint: { id: 'payer' },
  patient: 'Patient/1',
  accessToken: 'at',
  expiresIn: 86_400,
  refreshToken: 'rt',
} as const;

function opener(place: Place, keys = newKey()): () => Promise<Composition> {
  const environment = { ...place.settings, ENCRYPTION_KEYS: keys, SOURCES, LOG_LEVEL: 'silent' };
  return () => compose(readEnvironment(environment));
}

/** Opens, does something and closes. */
async function once<T>(open: () => Promise<Composition>, act: (composition: Composition) => Promise<T>): Promise<T> {
  const composition = await open();
  try {
    return await act(composition);
  } finally {
    await composition.close();
  }
}

const accept = ({ context }: Composition) => createService(context).accept({ request: REQUEST, actor: 'test' });
const readKey = ({ context }: Composition) => context.vault.open(REQUEST.id);

const services = await findServices();
const { postgres, redisUrl } = services;

if (postgres === null || redisUrl === null) {
  describe.skip(`a database without its key store ${missingOf(services)}`, () => {
    test('is not opened', () => undefined);
  });
} else {
  describe('a database without its key files', () => filesSuite({ postgres, redisUrl }));
  describe('a database without its key database', () => databaseSuite({ postgres, redisUrl }));
}

type Present = { readonly [name in keyof Services]: NonNullable<Services[name]> };

function filesSuite(present: Present): void {
  const placed = async (): Promise<Place> => {
    const place = await productionPlace(present);
    onTestFinished(place.close);
    const { KEY_DATABASE_URL: _, ...settings } = place.settings;
    return { ...place, settings };
  };
  const refused = { code: 'config_invalid', field: expect.stringMatching(/^KEYS_DIR /) };

  test('is not opened, and opens when they are back', async () => {
    const place = await placed();
    const open = opener(place);
    await once(open, accept);
    const away = `${place.keysDir}.away`;
    await rename(place.keysDir, away);
    await expect(open()).rejects.toMatchObject(refused);
    // Not at the second try either, when the first may have left something behind.
    await expect(open()).rejects.toMatchObject(refused);
    await cp(away, place.keysDir, { recursive: true });
    await expect(once(open, readKey)).resolves.toBeDefined();
  });

  test('is not opened with those of another one', async () => {
    const [place, other] = [await placed(), await placed()];
    const keys = newKey();
    await once(opener(place, keys), accept);
    await once(opener(other, keys), accept);
    const mixed = opener({ ...place, settings: { ...place.settings, KEYS_DIR: other.keysDir } }, keys);
    await expect(mixed()).rejects.toMatchObject(refused);
    await expect(once(opener(other, keys), readKey)).resolves.toBeDefined();
  });

  test('is opened anew, with keys of its own, when it is empty too', async () => {
    const place = await placed();
    const open = opener(place);
    await once(open, async () => undefined);
    await rm(place.keysDir, { recursive: true });
    await once(open, accept);
    await expect(once(open, readKey)).resolves.toBeDefined();
    expect((await readdir(dirname(place.dataDir))).sort()).toStrictEqual(['data', 'data-keys']);
  });
}

function databaseSuite(present: Present): void {
  test('is not opened, and the empty key database is left as it was', async () => {
    const place = await productionPlace(present);
    onTestFinished(place.close);
    const keys = newKey();
    const open = opener(place, keys);
    await once(open, accept);
    const empty = await present.postgres.createDatabase();
    onTestFinished(empty.drop);
    const refused = { code: 'config_invalid', field: expect.stringMatching(/^KEY_DATABASE_URL /) };
    const without = opener({ ...place, settings: { ...place.settings, KEY_DATABASE_URL: empty.databaseUrl } }, keys);
    for (const _try of [1, 2]) {
      await expect(without()).rejects.toMatchObject(refused);
      expect(await empty.sql('select 1 from perennial_keys.data_keys')).toStrictEqual([]);
    }
    await expect(once(open, readKey)).resolves.toBeDefined();
  });
}
