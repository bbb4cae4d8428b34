import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

/** Pure functions and texts, which leave nothing behind: their files share workers, and so what they import. */
const PURE = ['test/unit/**/*.test.ts', 'test/rules/**/*.test.ts'];
// `npm run test:image` runs it.
const exclude = [...configDefaults.exclude, 'test/packaging/image.test.ts'];

export default defineConfig({
  test: {
    // Two more than a machine with two cores has: the long ones wait for leases, deadlines and grace windows most of their time.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'pure', include: PURE, exclude, isolate: false } },
      { extends: true, test: { name: 'whole', include: ['test/**/*.test.ts'], exclude: [...exclude, ...PURE] } },
    ],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Whole systems on clocks thousands of times too fast: a machine that stalls for a second loses hours. What is broken fails twice.
    retry: 1,
  },
});
