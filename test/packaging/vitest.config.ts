import { defineConfig } from 'vitest/config';

/** The Dockerfile's commands by hand: an installation from the registry, which takes a minute and a half on a slow machine and so is no part of `npm test`. */
export default defineConfig({
  test: { include: ['test/packaging/image.test.ts'], testTimeout: 60_000, hookTimeout: 60_000, maxWorkers: 1 },
});
