import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // `npm run test:image` runs it.
    exclude: [...configDefaults.exclude, 'test/packaging/image.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One more than the machine has cores: the long ones wait for leases, deadlines and grace windows most of their time.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // Whole systems on clocks thousands of times too fast: a machine that stalls for a second loses hours. What is broken fails twice.
    retry: 1,
  },
});
