import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { sourcesSchema, urlsOf } from '../../src/adapters/upstream/source-config.ts';
import { createSources } from '../../src/adapters/upstream/sources.ts';
import { readJsonSetting } from '../../src/config.ts';
import { clockAt, flexpaConfigOf, smartConfigOf } from './raw-server.ts';

const smart = { kind: 'smart', fhirBaseUrl: 'https://ehr.test/r4', clientId: 'client-1', auth: { method: 'none' } };

/** What a start with these settings says, or nothing. */
function faultOf(settings: object): string {
  const text = JSON.stringify({ one: settings });
  try {
    readJsonSetting({ name: 'SOURCES', file: undefined, text, schema: sourcesSchema });
    return '';
  } catch (error) {
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain('canary');
    return error instanceof Error ? error.message.replace(/^.*SOURCES /, '') : '?';
  }
}

describe('a SMART registration', () => {
  test('needs its FHIR base, its client and how that proves itself; the rest has defaults', () => {
    expect(smartConfigOf(smart)).toMatchObject({
      pullBy: 'search',
      searchQuery: 'patient=$PATIENT_ID&_count=100',
      patientQuery: '_id=$PATIENT_ID',
      revokeOnPurge: true,
      retention: 'keep',
      resourceTypes: expect.arrayContaining(['Patient', 'Observation', 'ExplanationOfBenefit']),
    });
    for (const field of ['fhirBaseUrl', 'clientId', 'auth'] as const) {
      expect(faultOf({ ...smart, [field]: undefined })).toMatch(new RegExp(`^one.${field} must be`));
    }
  });

  test.each([
    ['kind', { ...smart, kind: 'canary' }, 'one.kind is of no known kind'],
    ['auth.method', { ...smart, auth: { method: 'canary' } }, 'one.auth.method is of no known kind'],
    ['fhirBaseUrl', { ...smart, fhirBaseUrl: 'http://canary.test' }, 'one.fhirBaseUrl must be https'],
    ['tokenUrl', { ...smart, tokenUrl: 'https://a:canary@b.test' }, 'one.tokenUrl must carry no credentials'],
    [
      'clientSecret',
      { ...smart, auth: { method: 'client_secret_basic', clientSecret: '' } },
      'one.auth.clientSecret is too small',
    ],
    [
      'encoding',
      { ...smart, auth: { method: 'client_secret_basic', clientSecret: 'canary', encoding: 'canary' } },
      'one.auth.encoding must be one of form, raw',
    ],
    [
      'a secret for a public client',
      { ...smart, auth: { method: 'none', clientSecret: 'canary' } },
      'one.auth.clientSecret is an unknown field',
    ],
    ['assumedRefreshDays', { ...smart, assumedRefreshDays: 0 }, 'one.assumedRefreshDays is too small'],
    ['a Flexpa field', { ...smart, exchangeUrl: 'https://canary.test' }, 'one.exchangeUrl is an unknown field'],
  ])('with a bad %s is refused by the name of the field', (_, settings, wanted) => {
    expect(faultOf(settings)).toContain(wanted);
  });
});

describe('a private key', () => {
  let rsa: KeyObject;
  let small: KeyObject;
  let ec: KeyObject;
  let otherEc: KeyObject;
  let p256: KeyObject;
  beforeAll(() => {
    rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
    small = generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey;
    ec = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    otherEc = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  });
  const jwk = (key: KeyObject, change: object = {}) => ({ ...key.export({ format: 'jwk' }), kid: 'key-1', ...change });
  const withKey = (algorithm: string, fields: object) => ({
    ...smart,
    auth: { method: 'private_key_jwt', algorithm, ...fields },
  });
  function keyFile(text: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'perennial-key-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'key');
    writeFileSync(file, text);
    return file;
  }

  test('is taken as a JWK, as a file with a JWK and as a file with a PEM', () => {
    const pem = String(rsa.export({ format: 'pem', type: 'pkcs8' }));
    expect(faultOf(withKey('RS384', { privateKey: jwk(rsa) }))).toBe('');
    expect(faultOf(withKey('ES384', { privateKey: jwk(ec, { alg: 'ES384', key_ops: ['sign'], ext: true }) }))).toBe('');
    expect(faultOf(withKey('ES384', { privateKeyFile: keyFile(JSON.stringify(jwk(ec))) }))).toBe('');
    expect(faultOf(withKey('RS384', { privateKeyFile: keyFile(pem), keyId: 'key-1' }))).toBe('');
  });

  test("bears the JWK's id unless another is given, and is nowhere to be read afterwards", () => {
    const config = smartConfigOf(withKey('RS384', { privateKey: jwk(rsa) }));
    expect(config.auth).toMatchObject({ keyId: 'key-1' });
    const printed = inspect(config, { depth: null, showHidden: true }) + JSON.stringify(config);
    const { d, p, q } = rsa.export({ format: 'jwk' });
    for (const part of [d, p, q]) expect(printed).not.toContain(part ?? '');
    const other = smartConfigOf(withKey('RS384', { privateKey: jwk(rsa), keyId: 'key-2' }));
    expect(other.auth).toMatchObject({ keyId: 'key-2' });
  });

  test.each<[string, () => object, string]>([
    ['public only', () => withKey('RS384', { privateKey: jwk(rsa, { d: undefined }) }), 'privateKey must be a private'],
    ['of another kind', () => withKey('RS384', { privateKey: jwk(ec) }), 'privateKey is not of RSA'],
    ['of another curve', () => withKey('ES384', { privateKey: jwk(p256) }), 'privateKey is not on curve P-384'],
    ['too small', () => withKey('RS384', { privateKey: jwk(small) }), 'privateKey has fewer than 2048 bits'],
    [
      'meant for another algorithm',
      () => withKey('RS384', { privateKey: jwk(rsa, { alg: 'RS256' }) }),
      'privateKey is for another algorithm',
    ],
    [
      'one whose public part is of another',
      () => {
        const { x, y } = otherEc.export({ format: 'jwk' });
        return withKey('ES384', { privateKey: jwk(ec, { x, y }) });
      },
      'privateKey is no key that can be read',
    ],
    [
      'one whose public exponent is of another',
      () => withKey('RS384', { privateKey: jwk(rsa, { e: 'Aw' }) }),
      'privateKey has a public part that is not of its private part',
    ],
    ['broken', () => withKey('RS384', { privateKey: jwk(rsa, { n: 'canary' }) }), 'privateKey '],
    ['no key at all', () => withKey('RS384', { privateKey: { canary: 1 } }), 'privateKey must be a private key'],
    ['text', () => withKey('RS384', { privateKey: 'canary' }), 'privateKey must be object'],
    ['without an id', () => withKey('RS384', { privateKey: jwk(rsa, { kid: undefined }) }), 'keyId must be given'],
    ['missing', () => withKey('RS384', {}), 'privateKey must be given'],
    ['given twice', () => withKey('RS384', { privateKey: jwk(rsa), privateKeyFile: 'canary' }), 'privateKey must be'],
    [
      'a file that is not there',
      () => withKey('RS384', { privateKeyFile: '/canary' }),
      'privateKeyFile cannot be read',
    ],
    [
      'a file of nonsense',
      () => withKey('RS384', { privateKeyFile: keyFile('canary') }),
      'privateKeyFile is no private',
    ],
    [
      'a file of half a JWK',
      () => withKey('RS384', { privateKeyFile: keyFile('{"canary') }),
      'privateKeyFile is no JSON',
    ],
    [
      'a file with a public PEM',
      () => withKey('RS384', { privateKeyFile: keyFile('-----BEGIN PUBLIC KEY-----\ncanary\n') }),
      'privateKeyFile is no private key',
    ],
    [
      'for an algorithm that SMART does not have',
      () => withKey('HS256', { privateKey: jwk(rsa) }),
      'algorithm must be one of RS384, ES384',
    ],
    [
      'with a JWKS URL in the clear',
      () => withKey('RS384', { privateKey: jwk(rsa), jwksUrl: 'http://canary.test' }),
      'jwksUrl must be https',
    ],
  ])('that is %s is refused at start by the name of its field', (_, settings, wanted) => {
    expect(faultOf(settings())).toContain(`one.auth.${wanted}`);
  });
});

describe('the URLs of a registration', () => {
  test('are all that it has us talk to, of either kind', () => {
    const urls = ['https://a.test', 'https://b.test', 'https://c.test', 'https://d.test'];
    const [fhirBaseUrl, tokenUrl, introspectUrl, revokeUrl] = urls;
    const common = { fhirBaseUrl, tokenUrl, introspectUrl, revokeUrl };
    expect([...urlsOf(smartConfigOf({ ...smart, ...common }))].sort()).toEqual(urls);
    expect(urlsOf(smartConfigOf({ ...smart, tokenUrl: null }))).toEqual(['https://ehr.test/r4']);
    const own = { baseUrl: 'https://e.test', exchangeUrl: 'https://f.test', publishableKey: 'pk', secretKey: 'sk' };
    expect([...urlsOf(flexpaConfigOf({ ...common, ...own }))].sort()).toEqual([...urls, own.baseUrl, own.exchangeUrl]);
  });
});

test('a Flexpa patient is searched like the rest, unless told otherwise; its refresh tokens last as long as assumed', async () => {
  const keys = { publishableKey: 'pk', secretKey: 'sk' };
  const config = {
    plain: flexpaConfigOf(keys),
    told: flexpaConfigOf({ ...keys, patientQuery: '_id=$PATIENT_ID', assumedRefreshDays: 0.5 }),
    smart: smartConfigOf(smart),
  };
  const sources = createSources({ config, clock: clockAt(() => 0) });
  onTestFinished(sources.close);
  expect(sources.get('plain')).toMatchObject({ patientQuery: '_count=1000', assumedRefreshLifetimeMs: null });
  expect(sources.get('told')).toMatchObject({ patientQuery: '_id=$PATIENT_ID', assumedRefreshLifetimeMs: 43_200_000 });
  expect(sources.get('smart')).toMatchObject({ exchange: null, patientQuery: '_id=$PATIENT_ID' });
});
