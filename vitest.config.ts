import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // `npm run test:image` runs it.
    exclude: [...configDefaults.exclude, 'test/packaging/image.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    // Whole systems on clocks thousands of times too fast: a machine that stalls for a second loses hours. What is broken fails twice.
    retry: 1,
  },
});
