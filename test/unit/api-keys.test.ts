import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { PerennialError } from '../../src/core/errors.ts';
import { parseApiKeys } from '../../src/main/api-keys.ts';

const KEY = 'canary-key-0123456789-abcdef';
const hash = (key: string) => createHash('sha256').update(key).digest();

describe('API_KEYS', () => {
  test('nothing set is no key', () => {
    expect([parseApiKeys(undefined), parseApiKeys(''), parseApiKeys(' , ,')]).toEqual([[], [], []]);
  });

  test('a key may do all but read records, unless its scopes are named', () => {
    const keys = parseApiKeys(`portal=${KEY}, reader:read+records=${KEY}2`);
    expect(keys).toEqual([
      { service: 'portal', scopes: ['enqueue', 'read', 'pull', 'purge'], keyHash: hash(KEY) },
      { service: 'reader', scopes: ['read', 'records'], keyHash: hash(`${KEY}2`) },
    ]);
  });

  test('a key may hold an equals sign and a colon', () => {
    const odd = 'aaaaaaaaaaaa=bbbbbbbbbbbb:cc==';
    expect(parseApiKeys(`portal=${odd}`)[0]?.keyHash).toEqual(hash(odd));
  });

  test('the key itself is not kept', () => {
    expect(inspect(parseApiKeys(`portal=${KEY}`), { depth: null, showHidden: true })).not.toContain('canary');
  });

  test.each([
    ['no key', 'portal', 'API_KEYS entry 1 must be service=key'],
    ['no service', `=${KEY}`, 'API_KEYS entry 1 must be service=key'],
    ['an empty key', 'portal=', 'API_KEYS entry 1 must be service=key'],
    ['the second malformed', `portal=${KEY},${KEY}`, 'API_KEYS entry 2 must be service=key'],
    ['a service with capitals', `Portal=${KEY}`, 'API_KEYS entry 1 must be service=key'],
    ['no scope behind the colon', `portal:=${KEY}`, 'API_KEYS entry 1 must be service=key'],
    ['a short key', 'portal=canary-short', 'API_KEYS the key of portal must have 24 characters at least'],
    [
      'a key of 23 characters',
      `portal=${KEY.slice(0, 23)}`,
      'API_KEYS the key of portal must have 24 characters at least',
    ],
    [
      'an unknown scope',
      `portal:read+admin=${KEY}`,
      'API_KEYS the scopes of portal must be of enqueue, read, pull, purge, records, token, audit, operate',
    ],
    [
      'a scope twice',
      `portal:read+read=${KEY}`,
      'API_KEYS the scopes of portal must be of enqueue, read, pull, purge, records, token, audit, operate',
    ],
  ])('refuses %s, naming the service and never the key', (_, text, field) => {
    const thrown = (() => {
      try {
        return parseApiKeys(text);
      } catch (error) {
        return error;
      }
    })();
    expect(thrown).toBeInstanceOf(PerennialError);
    expect(thrown).toMatchObject({ code: 'config_invalid', field });
    expect(inspect(thrown, { depth: null })).not.toMatch(/canary/);
  });
});
