import { parseEnv } from 'node:util';
import { describe, expect, test } from 'vitest';
import { environmentSchema, readEnvironment } from '../../src/config.ts';
import { interpolatedNames } from './support/compose.ts';
import { envExampleFaults } from './support/env-example.ts';
import { readFile } from './support/files.ts';

const { text } = readFile('.env.example');
const variables = Object.keys(environmentSchema.shape);
const given = new Map<string, unknown>(Object.entries(environmentSchema.parse({})));
const rules = {
  defaults: new Map(variables.map((name) => [name, given.has(name) ? String(given.get(name)) : null])),
  composeOnly: new Set(
    interpolatedNames(readFile('docker-compose.yml').text).filter((name) => !variables.includes(name)),
  ),
};

describe('.env.example', () => {
  test('has every variable that is read and no other, explained, with the default that holds', () => {
    expect(envExampleFaults({ text, ...rules })).toEqual([]);
  });

  test('copied as it is changes no setting', () => {
    expect(readEnvironment(parseEnv(text))).toEqual(readEnvironment({}));
  });

  test('has the two passwords that only compose reads under a heading of their own', () => {
    expect([...rules.composeOnly].sort()).toEqual(['POSTGRES_PASSWORD', 'REDIS_PASSWORD']);
  });

  test('holds no key, no password and no secret', () => {
    const filled = Object.entries(parseEnv(text)).filter(
      ([name, value]) => /KEY|PASSWORD|SECRET/.test(name) && value !== '',
    );
    expect(filled).toEqual([]);
  });
});

describe('the rule of .env.example', () => {
  test.each([
    ['a variable that is missing', /^PORT=.*$/m, '', 'PORT is missing'],
    ['one that nobody reads', /^PORT=/m, 'PROT=1\nPORT=', 'PROT is read by nobody'],
    ['one that is there twice', /^PORT=/m, 'PORT=3000\nPORT=', 'PORT is there twice'],
    ['one that is not explained', /^# Port of the API.*$/m, '', 'PORT is not explained'],
    ['another default', /^PORT=.*$/m, 'PORT=8080', 'PORT has another default'],
    [
      'a default where there is none',
      /^DATABASE_URL=$/m,
      'DATABASE_URL=postgres://a',
      'DATABASE_URL has another default',
    ],
    [
      'a password of compose among the rest',
      /^# ---- Docker Compose only ----$/m,
      '',
      'REDIS_PASSWORD stands under the wrong heading',
    ],
  ])('sees %s', (_what, from, to, fault) => {
    const broken = text.replace(from, to);
    expect(broken).not.toBe(text);
    expect(envExampleFaults({ text: broken, ...rules })).toContain(fault);
  });
});
