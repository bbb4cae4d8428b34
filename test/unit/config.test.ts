import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sourcesSchema } from '../../src/adapters/upstream/source-config.ts';
import { isLoopbackUrl } from '../../src/adapters/upstream/urls.ts';
import { cadenceSchema, readEnvironment, readJsonSetting } from '../../src/config.ts';
import { REDIS_URL_FORMS } from '../../src/contract/redis-address.ts';
import { PerennialError } from '../../src/core/errors.ts';

const HOUR_MS = 3_600_000;

function fieldOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (!(error instanceof PerennialError)) throw error;
    expect(error.code).toBe('config_invalid');
    expect(error.message).not.toContain('canary');
    return error.field ?? '';
  }
  throw new Error('it was taken');
}

describe('the environment', () => {
  test('with nothing set has a default for all that needs one, and is frozen', () => {
    const environment = readEnvironment({});
    expect(environment).toMatchObject({
      DATA_DIR: './data',
      HOST: '127.0.0.1',
      PORT: 3_000,
      QUEUE_PREFIX: 'perennial',
      LOG_LEVEL: 'info',
      CLOCK_SPEED: 1,
      WORKER_CONCURRENCY: 150,
      WORKER_PULLS: 30,
      DASHBOARD_WRITABLE: false,
    });
    expect(environment.REDIS_URL).toBeUndefined();
    expect(Object.isFrozen(environment)).toBe(true);
  });

  test('takes what it knows, and does not look at what it does not', () => {
    const environment = readEnvironment({ PORT: '8080', DASHBOARD_WRITABLE: 'true', CANARY: 'canary', PATH: '/bin' });
    expect(environment).toMatchObject({ PORT: 8_080, DASHBOARD_WRITABLE: true });
    expect(JSON.stringify(environment)).not.toContain('canary');
  });

  test.each(['', ' ', '\t\n'])('counts an empty variable as unset: %j', (blank) => {
    const names = ['PORT', 'REDIS_URL', 'LOG_LEVEL', 'CLOCK_SPEED', 'CLOCK_EPOCH_MS', 'WORKER_CONCURRENCY', 'DATA_DIR'];
    expect(readEnvironment(Object.fromEntries(names.map((name) => [name, blank])))).toEqual(readEnvironment({}));
  });

  test.each([
    ['LOG_LEVEL', 'canary', 'LOG_LEVEL must be one of info, warn, error, silent'],
    ['LOG_LEVEL', 'INFO', 'LOG_LEVEL must be one of info, warn, error, silent'],
    ['DATABASE_URL', 'canary', 'DATABASE_URL must be a URL of postgres: or postgresql:'],
    ['DATABASE_URL', 'mysql://canary@host/db', 'DATABASE_URL must be a URL of postgres: or postgresql:'],
    ['KEY_DATABASE_URL', 'https://canary', 'KEY_DATABASE_URL must be a URL of postgres: or postgresql:'],
    ['REDIS_URL', 'http://canary', `REDIS_URL must be ${REDIS_URL_FORMS}`],
    ['REDIS_URL', 'canary:6379', `REDIS_URL must be ${REDIS_URL_FORMS}`],
    ['PERENNIAL_URL', 'ftp://canary', 'PERENNIAL_URL must be a URL of http: or https:'],
    ['QUEUE_PREFIX', 'Canary:x', 'QUEUE_PREFIX must be lower-case letters, digits and dashes'],
    ['DASHBOARD_PASSWORD', 'canary', 'DASHBOARD_PASSWORD must have 12 characters at least'],
    ['DASHBOARD_PROXY_HEADER', 'X Canary', 'DASHBOARD_PROXY_HEADER must be a header name'],
    ['DASHBOARD_WRITABLE', 'canary', 'DASHBOARD_WRITABLE must be one of true, false'],
    ['PORT', 'canary', 'PORT must be number'],
    ['PORT', '70000', 'PORT is too large'],
    ['PORT', '-1', 'PORT is too small'],
    ['PORT', '80.5', 'PORT must be int'],
    ['WORKER_CONCURRENCY', '0', 'WORKER_CONCURRENCY is too small'],
    ['WORKER_CONCURRENCY', '100000', 'WORKER_CONCURRENCY is too large'],
    ['CLOCK_SPEED', '0.5', 'CLOCK_SPEED is too small'],
    ['CLOCK_SPEED', 'canary', 'CLOCK_SPEED must be number'],
    ['CLOCK_EPOCH_MS', '-1', 'CLOCK_EPOCH_MS is too small'],
  ])('refuses %s=%s: %s', (name, value, field) => {
    expect(fieldOf(() => readEnvironment({ [name]: value }))).toBe(field);
  });
});

describe('a setting that is JSON', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'perennial-test-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const read = (text: string) => readJsonSetting({ name: 'SOURCES', file: undefined, text, schema: sourcesSchema });

  test('that is not JSON, or not there, is named by its variable alone', () => {
    expect(fieldOf(() => read('{"canary": '))).toBe('SOURCES is not JSON');
    const file = join(folder, 'canary.json');
    const fromFile = () => readJsonSetting({ name: 'SOURCES_FILE', file, schema: sourcesSchema });
    expect(fieldOf(fromFile)).toBe('SOURCES_FILE cannot be read');
    writeFileSync(file, 'canary');
    expect(fieldOf(fromFile)).toBe('SOURCES_FILE is not JSON');
    writeFileSync(file, '["canary"]');
    expect(fieldOf(fromFile)).toMatch(/^SOURCES_FILE /);
  });

  test('that is not set is empty', () => {
    expect(readJsonSetting({ name: 'SOURCES_FILE', file: undefined, schema: sourcesSchema })).toEqual({});
    expect(readJsonSetting({ name: 'CADENCE_FILE', file: undefined, schema: cadenceSchema })).toEqual({
      networks: {},
      endpoints: {},
    });
  });

  const source = (change: object) => read(JSON.stringify({ payer: { ...SOURCE, ...change } }));
  const SOURCE = { kind: 'flexpa', publishableKey: 'pk_test_canary', secretKey: 'sk_test_canary' };

  test('a source needs its kind and its two keys, and has a default for the rest', () => {
    expect(source({})).toMatchObject({
      payer: {
        baseUrl: 'https://api.flexpa.com',
        pullBy: 'everything',
        revokeOnPurge: true,
        searchQuery: '_count=1000',
      },
    });
  });

  test.each([
    ['another kind', { kind: 'canary' }, /^SOURCES payer\.kind /],
    ['no secret key', { secretKey: undefined }, /^SOURCES payer\.secretKey must be string$/],
    ['an empty secret key', { secretKey: '' }, /^SOURCES payer\.secretKey is too small$/],
    ['an unknown field', { secret: 'canary' }, /^SOURCES payer\.secret is an unknown field$/],
    ['a base URL that is none', { baseUrl: 'canary' }, /^SOURCES payer\.baseUrl must be a URL$/],
    [
      'plain http',
      { baseUrl: 'http://canary.example' },
      /^SOURCES payer\.baseUrl must be https \(loopback excepted\)$/,
    ],
    ['plain http to what only begins like loopback', { baseUrl: 'http://127.0.0.1.canary.example' }, /must be https/],
    [
      'plain http to what is loopback as user',
      { baseUrl: 'http://localhost@canary.example' },
      /must be https|no credentials/,
    ],
    ['another protocol on loopback', { baseUrl: 'ftp://localhost/canary' }, /^SOURCES payer\.baseUrl must be https/],
    ['a file', { baseUrl: 'file://localhost/canary' }, /^SOURCES payer\.baseUrl must be https/],
    [
      'a user in the URL',
      { baseUrl: 'https://canary@api.example' },
      /^SOURCES payer\.baseUrl must carry no credentials/,
    ],
    [
      'a password in the URL',
      { tokenUrl: 'https://:canary@api.example' },
      /^SOURCES payer\.tokenUrl must carry no credentials/,
    ],
    [
      'a secret in the query',
      { fhirBaseUrl: 'https://api.example/?key=canary' },
      /^SOURCES payer\.fhirBaseUrl must carry/,
    ],
    ['a secret in the fragment', { revokeUrl: 'https://api.example/#canary' }, /^SOURCES payer\.revokeUrl must carry/],
    [
      'a FHIR type that is none',
      { resourceTypes: ['canary type'] },
      /^SOURCES payer\.resourceTypes\.0 must be a FHIR type$/,
    ],
    ['no FHIR type', { resourceTypes: [] }, /^SOURCES payer\.resourceTypes is too small$/],
    ['another way to pull', { pullBy: 'canary' }, /^SOURCES payer\.pullBy must be one of everything, search$/],
  ])('refuses a source with %s', (_, change, field) => {
    expect(fieldOf(() => source(change))).toMatch(field);
  });

  test.each(['http://localhost:8080', 'http://127.0.0.1:1', 'http://[::1]:1', 'https://api.example'])(
    'takes %s',
    (baseUrl) => {
      expect(source({ baseUrl })).toMatchObject({ payer: { baseUrl } });
    },
  );

  test('a source is named by lower-case letters, digits and dashes', () => {
    expect(fieldOf(() => read(JSON.stringify({ 'Payer One': SOURCE })))).toMatch(/^SOURCES /);
  });

  test('loopback is known by its host, not by how the text begins', () => {
    expect(['http://localhost', 'http://127.0.0.1/x', 'http://[::1]'].every(isLoopbackUrl)).toBe(true);
    const foreign = [
      'http://localhost.evil.test',
      'http://127.0.0.1.evil.test',
      'http://evil.test/localhost',
      'localhost',
      '',
    ];
    expect(foreign.some(isLoopbackUrl)).toBe(false);
  });
});

describe('the cadence file', () => {
  const read = (text: string) =>
    readJsonSetting({ name: 'CADENCE_FILE', file: undefined, text, schema: cadenceSchema });

  test('says hours, per network and per endpoint', () => {
    const text =
      '{"networks":{"ONC_G10":{"pullEveryHours":12},"CMS_9115":{"adaptive":true}},"endpoints":{"payer-1":{"lateAfterHours":1.5}}}';
    expect(read(text)).toEqual({
      networks: { ONC_G10: { pullEveryMs: 12 * HOUR_MS }, CMS_9115: { adaptive: true } },
      endpoints: { 'payer-1': { lateAfterMs: 1.5 * HOUR_MS } },
    });
  });

  test.each([
    ['an unknown network', '{"networks":{"OTHER":{}}}', /^CADENCE_FILE networks/],
    [
      'an unknown field',
      '{"networks":{"ONC_G10":{"hours":"canary"}}}',
      /^CADENCE_FILE networks\.ONC_G10\.hours is an unknown field$/,
    ],
    ['an unknown part', '{"payers":{"canary":1}}', /^CADENCE_FILE payers is an unknown field$/],
    [
      'a text for hours',
      '{"endpoints":{"e":{"pullEveryHours":"canary"}}}',
      /^CADENCE_FILE endpoints\.e\.pullEveryHours must be number$/,
    ],
    [
      'no time at all',
      '{"endpoints":{"e":{"pullEveryHours":0}}}',
      /^CADENCE_FILE endpoints\.e\.pullEveryHours is too small$/,
    ],
    [
      'more than a month',
      '{"endpoints":{"e":{"pullEveryHours":1000}}}',
      /^CADENCE_FILE endpoints\.e\.pullEveryHours is too large$/,
    ],
  ])('refuses %s', (_, text, field) => {
    expect(fieldOf(() => read(text))).toMatch(field);
  });
});
