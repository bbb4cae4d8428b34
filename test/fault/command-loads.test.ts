import { afterAll, describe, expect, test } from 'vitest';
import { killLeftovers, runToEnd } from '../support/processes.ts';

/** Runs before ours and says each module that is loaded. */
const SAYS_WHAT_LOADS = `
  import { registerHooks } from 'node:module';
  registerHooks({ load: (url, context, next) => { process.stderr.write(url + '\\n'); return next(url, context); } });`;
const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(SAYS_WHAT_LOADS)}`;
/** What a worker stands on, and what takes most of its time to load. */
const OF_A_WORKER = /\/node_modules\/(bullmq|pg|fastify|@electric-sql\/pglite)\//;

afterAll(killLeftovers);

async function loadedBy(...args: readonly string[]): Promise<readonly string[]> {
  const { stderr } = await runToEnd({ args, env: { NODE_OPTIONS, PERENNIAL_API_KEY: 'k'.repeat(32) } });
  return stderr()
    .split('\n')
    .filter((line) => OF_A_WORKER.test(line));
}

describe.concurrent('a command', () => {
  test.each([[['help']], [['status']], [['simulate', '--authorizations', '0']]])(
    '%j loads nothing of a worker, and so is there at once',
    async (args) => {
      expect(await loadedBy(...args)).toEqual([]);
    },
  );

  test('control: one that starts a worker does', async () => {
    expect(await loadedBy('start')).not.toEqual([]);
  });
});
