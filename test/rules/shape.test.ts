import { describe, expect, test } from 'vitest';
import { readProject, readSources } from './support/files.ts';
import { longFiles, longFunctions, undescribed } from './support/shape.ts';

const path = 'src/core/a.ts';
const lines = (count: number, line = '1;'): string => `${Array.from({ length: count }, () => line).join('\n')}\n`;

/** What is longer or barer than the rule, and why. Whoever mends one takes it off: an entry that is no longer needed fails too. */
const EXCUSED: Readonly<Record<string, string>> = {
  'src/adapters/upstream/flexpa.ts createFlexpaSource':
    'five calls closed over one registration; none is longer than 15 lines',
  'src/flows/draft.ts newAuthorization':
    'a third of it spells out the parameters and the fields of a new authorization',
};
const isExcused = (offence: string): boolean => Object.hasOwn(EXCUSED, offence.replace(/: .*$/, ''));

describe('code one can hold in the head', () => {
  const long = longFunctions(readSources());
  const bare = undescribed(readProject(['src/core', 'src/flows', 'jobs']));

  test('no file has more than 250 lines', () => {
    expect(longFiles(readSources())).toEqual([]);
  });

  test('no function has more than 60 lines', () => {
    expect(long.filter((offence) => !isExcused(offence))).toEqual([]);
  });

  test('every function that core, flows and jobs export says what it promises', () => {
    expect(bare.filter((offence) => !isExcused(offence))).toEqual([]);
  });

  test('no excuse outlives what it excuses', () => {
    expect([...long, ...bare].filter(isExcused)).toHaveLength(Object.keys(EXCUSED).length);
  });
});

describe('the rules of shape', () => {
  test('see a file of 251 lines, and leave one of 250', () => {
    expect(longFiles([{ path, text: lines(251) }])).toEqual(['src/core/a.ts: 251 lines']);
    expect(longFiles([{ path, text: lines(250) }])).toEqual([]);
  });

  test.each([
    ['function', 'function long() {\n', '}'],
    ['arrow function', 'const long = () => {\n', '};'],
    ['function inside another', 'const outer = { run: async function long() {\n', '} };'],
    ['method', 'class Long { run() {\n', '} }'],
    ['accessor', 'const outer = { get long() {\n', '} };'],
  ])('see a %s of 61 lines, and leave one of 60', (_kind, head, tail) => {
    expect(longFunctions([{ path, text: `${head}${lines(59)}${tail}` }])).toEqual([
      expect.stringMatching(/^src\/core\/a\.ts (?:long|run): 61 lines$/),
    ]);
    expect(longFunctions([{ path, text: `${head}${lines(58)}${tail}` }])).toEqual([]);
  });

  test.each([
    ['export function pull() {}', 'pull'],
    ['export async function* pull() {}', 'pull'],
    ['export const pull = () => {};', 'pull'],
    ['export const pull = (() => {}) satisfies () => void;', 'pull'],
    ['// Pulls.\nexport function pull() {}', 'pull'],
    ['/* Pulls. */\nexport function pull() {}', 'pull'],
    ['/** Pulls. */\n\nexport function pull() {}', 'pull'],
    ['/** */\nexport function pull() {}', 'pull'],
    ['/** Something else. */\nconst other = 1;\nexport function pull() {}', 'pull'],
  ])('see that nothing describes %j', (text, name) => {
    expect(undescribed([{ path, text }])).toEqual([`src/core/a.ts ${name}: no doc comment`]);
  });

  test.each([
    '/** Pulls. */\nexport function pull() {}',
    '/**\n * Pulls.\n */\nexport const pull = () => {};',
    'function hidden() {}',
    'export const PERIOD_MS = 1;',
    'export type Pull = () => void;',
  ])('ask no more of %j', (text) => {
    expect(undescribed([{ path, text }])).toEqual([]);
  });
});
