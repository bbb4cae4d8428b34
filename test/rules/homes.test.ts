import { describe, expect, test } from 'vitest';
import { readSources } from './support/files.ts';
import { strays } from './support/homes.ts';

const strayOf = (path: string, text: string): readonly string[] => strays([{ path, text }]);

test('the environment, the clock, randomness and the console each have one home', () => {
  expect(strays(readSources())).toEqual([]);
});

describe('the rule of homes', () => {
  test.each([
    "const url = process.env['DATABASE_URL'];",
    "const url = process['env'];",
    'const { env } = process;',
    'const { env: settings } = process;',
    "import { env } from 'node:process';",
    'const all = globalThis.process.env;',
    'const now = Date.now();',
    'const { now } = Date;',
    'const clock = Date.now;',
    'const now = new Date();',
    'const now = new Date;',
    'const now = Date();',
    'const now = performance.now();',
    'const now = process.hrtime.bigint();',
    'const die = Math.random();',
    "import { randomUUID } from 'node:crypto';",
    'const id = crypto.randomUUID();',
    'crypto.getRandomValues(bytes);',
    "import { randomBytes } from 'node:crypto';",
    "console.log('here');",
    'globalThis.console.error(error);',
    'const say = console;',
  ])('sees %s', (text) => {
    expect(strayOf('src/flows/pull.ts', text)).not.toEqual([]);
    expect(strayOf('jobs/pull.ts', text)).not.toEqual([]);
  });

  test.each([
    ['src/config.ts', 'const all = process.env;'],
    ['src/adapters/system/clock.ts', 'const now = Date.now(); const other = new Date();'],
    ['src/adapters/system/entropy.ts', 'const id = randomUUID() + Math.random();'],
    ['src/adapters/vault/file.ts', 'const key = randomBytes(32);'],
    ['src/main/init.ts', 'const key = randomBytes(32);'],
    ['src/flows/pull.ts', 'const text = new Date(now).toISOString(); // Date.now, console'],
    ['src/flows/pull.ts', "const text = 'console.log(process.env)';"],
    ['src/flows/pull.ts', 'clock.now(); entropy.random(); process.pid;'],
  ])('lets %s have %s', (path, text) => {
    expect(strayOf(path, text)).toEqual([]);
  });
});
