import { Console } from 'node:console';
import { PassThrough } from 'node:stream';
import { format, inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';

const CANARY = 'canary-access-7f3a';
const secret = new Secret(CANARY);

function printed(...values: readonly unknown[]): string {
  const stream = new PassThrough();
  const output = new Console({ stdout: stream, stderr: stream });
  output.log(...values);
  output.error(...values);
  output.dir(values, { depth: null, showHidden: true });
  output.table([values]);
  return String(stream.read());
}

describe('a secret', () => {
  test('gives its value to who asks for it by name', () => {
    expect(secret.reveal()).toBe(CANARY);
  });

  const roads: readonly [string, () => string][] = [
    ['a template', () => `${secret}`],
    ['a sum of strings', () => `Bearer ${String(secret)}`],
    ['JSON', () => JSON.stringify(secret)],
    ['JSON of what holds it', () => JSON.stringify({ tokens: [{ access: secret }] })],
    ['inspect', () => inspect(secret)],
    [
      'inspect of what holds it',
      () => inspect({ a: { b: { c: [secret] } } }, { depth: null, showHidden: true, getters: true }),
    ],
    ['inspect of a map', () => inspect(new Map([['token', secret]]))],
    ['format %s', () => format('%s', secret)],
    ['format %o', () => format('%o', secret)],
    ['format %O', () => format('%O', { secret })],
    ['format %j', () => format('%j', { secret })],
    ['an error message', () => String(new Error(`refused ${secret}`).stack)],
    ['inspect of an error whose cause holds it', () => inspect(new Error('x', { cause: { secret } }), { depth: null })],
    ['a console', () => printed(secret, { secret }, '%s %o', secret)],
    ['join', () => [secret].join()],
  ];

  test.each(roads)('prints [secret] through %s, and never its value', (_, road) => {
    expect(road()).toContain('[secret]');
    expect(road()).not.toContain('canary');
  });

  test.each([
    [
      'inspect without custom functions',
      () => inspect(secret, { customInspect: false, showHidden: true, depth: null }),
    ],
    [
      'its keys',
      () => JSON.stringify([Object.keys(secret), Object.getOwnPropertyNames(secret), Object.entries(secret)]),
    ],
    ['a spread copy', () => JSON.stringify({ ...secret })],
    ['a structured clone', () => JSON.stringify(structuredClone(secret))],
  ])('shows nothing through %s', (_, road) => {
    expect(road()).not.toContain('canary');
  });

  test('control: a plain holder of the same value is seen by the same checks', () => {
    const plain = { value: CANARY };
    expect(inspect(plain)).toContain('canary');
    expect(JSON.stringify(plain)).toContain('canary');
    expect(printed(plain)).toContain('canary');
  });
});
