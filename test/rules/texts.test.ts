import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readFile, readProject } from './support/files.ts';
import { lockedAddresses, machinePaths, missingCommands, unknownScripts, unpinned } from './support/texts.ts';

const packageSchema = z.object({
  scripts: z.record(z.string(), z.string()),
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});

const packageFile = packageSchema.parse(JSON.parse(readFile('package.json').text));

/** Put together here, so that this file itself names no such place. */
const pathOf = (...parts: readonly string[]): string => ['', ...parts].join('/');

describe('what a stranger gets', () => {
  test('no file names a folder of the machine it was written on', () => {
    expect(machinePaths(readProject())).toEqual([]);
  });

  test('the lockfile names no download address', () => {
    expect(lockedAddresses(readFile('package-lock.json'))).toEqual([]);
  });

  test('every dependency is pinned to one version', () => {
    const { dependencies, devDependencies } = packageFile;
    expect(unpinned({ ...dependencies, ...devDependencies })).toEqual([]);
  });

  test('the README names the two commands that are enough', () => {
    expect(missingCommands(readFile('README.md').text)).toEqual([]);
  });

  test('every npm script that a file tells of is there', () => {
    const files = readProject().filter(({ path }) => !path.startsWith('test/rules/'));
    expect(unknownScripts({ files, scripts: new Set(Object.keys(packageFile.scripts)) })).toEqual([]);
  });
});

describe('the rules of texts', () => {
  test.each([
    pathOf('home', 'somebody', 'perennial'),
    `cd ${pathOf('Users', 'somebody')} && npm ci`,
    `const file = '${pathOf('work', 'space', 'a.ts')}';`,
    `(${pathOf('tmp', 'jobs', 'a')})`,
    `"${pathOf('root', '.npmrc')}"`,
    ['C:', 'Users', 'somebody'].join('\\'),
  ])('see the machine in %s', (text) => {
    expect(machinePaths([{ path: 'docs/a.md', text }])).toHaveLength(1);
  });

  test.each([
    'tmpfs: /tmp',
    'https://example.org/home/somebody',
    './home/somebody',
    'WORKDIR /app',
    '/var/lib/data',
    'src/home/a.ts',
  ])('see no machine in %s', (text) => {
    expect(machinePaths([{ path: 'docs/a.md', text }])).toEqual([]);
  });

  test('see a download address in a lockfile', () => {
    const text = '{\n  "resolved": "https://registry.npmjs.org/pg/-/pg-8.23.1.tgz"\n}';
    expect(lockedAddresses({ path: 'package-lock.json', text })).toHaveLength(1);
  });

  test.each(['^8.23.1', '~8.23.1', '8', '8.23', '>=8.23.1', '*', 'latest', 'file:../pg', '8.23.1 || 9.0.0'])(
    'see that %s pins nothing',
    (version) => {
      expect(unpinned({ pg: version })).toEqual([`pg: ${version}`]);
    },
  );

  test('take an exact version, also of a candidate', () => {
    expect(unpinned({ pg: '8.23.1', next: '9.0.0-rc.1' })).toEqual([]);
  });

  test('see a README that tells only half of it', () => {
    expect(missingCommands('Run `npm ci && npm run demo`.')).toEqual(['npm ci && npm test']);
    expect(missingCommands('npm ci\nnpm test')).toHaveLength(2);
  });

  test('see a script that is not there', () => {
    const files = [{ path: 'README.md', text: 'npm run demo, npm run `x`, npm run dmeo -- --keep' }];
    expect(unknownScripts({ files, scripts: new Set(['demo']) })).toEqual(['README.md: npm run dmeo']);
  });
});
