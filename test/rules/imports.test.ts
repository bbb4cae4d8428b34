import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type File, readFile, readSources } from './support/files.ts';
import { importCircles, undeclaredPackages, wrongArrows } from './support/rooms.ts';

const clock: File = { path: 'src/core/clock.ts', text: 'export type Instant = number;' };
const limits: File = { path: 'src/core/limits.ts', text: 'export const LIMITS = {};' };
const others: readonly File[] = [
  clock,
  limits,
  { path: 'src/flows/pull.ts', text: '' },
  { path: 'src/adapters/store/pool.ts', text: '' },
  { path: 'src/adapters/intake/seal.ts', text: '' },
  { path: 'src/config.ts', text: '' },
  { path: 'src/main.ts', text: '' },
  { path: 'jobs/purge.ts', text: '' },
];

const arrows = (path: string, text: string): readonly string[] => wrongArrows([...others, { path, text }]);

describe('imports', () => {
  test('go only along the arrows of the house', () => {
    expect(wrongArrows(readSources())).toEqual([]);
  });

  test('run in no circle', () => {
    expect(importCircles(readSources())).toEqual([]);
  });

  test('of libraries are all dependencies, so that an installed package has them', () => {
    const { dependencies } = z
      .object({ dependencies: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readFile('package.json').text));
    expect(undeclaredPackages({ files: readSources(), dependencies: new Set(Object.keys(dependencies)) })).toEqual([]);
  });
});

describe('the rule of arrows', () => {
  test.each([
    ['src/core/a.ts', "import { z } from 'zod';"],
    ['src/core/a.ts', "import { join } from 'node:path';"],
    ['src/core/a.ts', "import type { Pool } from '../adapters/store/pool.ts';"],
    ['src/core/a.ts', "export { pull } from '../flows/pull.ts';"],
    ['src/contract/a.ts', "import { pull } from '../flows/pull.ts';"],
    ['src/contract/a.ts', "import pg from 'pg';"],
    ['src/flows/a.ts', "import { z } from 'zod';"],
    ['src/flows/a.ts', "const crypto = await import('node:crypto');"],
    ['src/flows/a.ts', "type Pool = import('../adapters/store/pool.ts').Pool;"],
    ['src/flows/a.ts', "import { purgeJob } from '../../jobs/purge.ts';"],
    ['src/adapters/queue/a.ts', "import { pool } from '../store/pool.ts';"],
    ['src/adapters/queue/a.ts', "import { pull } from '../../flows/pull.ts';"],
    ['src/adapters/queue/a.ts', "import { readEnvironment } from '../../config.ts';"],
    ['src/client/a.ts', "import { pool } from '../adapters/store/pool.ts';"],
    ['src/sandbox/a.ts', "import { LIMITS } from '../core/limits.ts';"],
    ['src/config/a.ts', ''],
    ['src/main/a.ts', "const name = 'x'; await import(name);"],
    ['src/main/a.ts', "import { gone } from '../core/gone.ts';"],
    ['src/main/a.ts', "import { help } from '../../test/support/help.ts';"],
    ['jobs/a.ts', "import { Queue } from 'bullmq';"],
    ['jobs/a.ts', "import '../src/adapters/store/pool.ts';"],
  ])('refuses %s with %s', (path, text) => {
    expect(arrows(path, text)).toHaveLength(1);
  });

  test.each([
    ['src/contract/a.ts', "import { z } from 'zod'; import { LIMITS } from '../core/limits.ts';"],
    ['src/adapters/store/a.ts', "import pg from 'pg'; import { pool } from './pool.ts';"],
    ['src/client/a.ts', "import { seal } from '../adapters/intake/seal.ts';"],
    ['src/sandbox/a.ts', "import type { Instant } from '../core/clock.ts';"],
    ['src/main/a.ts', "import { purgeJob } from '../../jobs/purge.ts';"],
    ['src/core/a.ts', "/** import x from 'pg' */ const text = \"from 'pg'\";"],
  ])('lets %s have %s', (path, text) => {
    expect(arrows(path, text)).toEqual([]);
  });

  test('sees a circle of three files, also when a type closes it', () => {
    const circle = [
      { path: 'src/core/a.ts', text: "import { b } from './b.ts';" },
      { path: 'src/core/b.ts', text: "export { c } from './c.ts';" },
      { path: 'src/core/c.ts', text: "import type { A } from './a.ts';" },
    ];
    expect(importCircles(circle)).toEqual(['src/core/a.ts -> src/core/b.ts -> src/core/c.ts -> src/core/a.ts']);
    expect(importCircles(circle.slice(0, 2))).toEqual([]);
  });

  test('sees a library that nobody would install', () => {
    const files = [{ path: 'src/main/a.ts', text: "import { test } from 'vitest'; import 'node:fs';" }];
    expect(undeclaredPackages({ files, dependencies: new Set(['pg']) })).toEqual(['src/main/a.ts:1: vitest']);
  });
});
