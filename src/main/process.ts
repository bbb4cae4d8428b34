import closeWithGrace from 'close-with-grace';
import { readEnvironment } from '../config.ts';
import { codeOf, PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { framesOf } from '../flows/work.ts';
import { compose } from './compose.ts';
import { checkWebSettings, type Running, startWeb, startWorker } from './run.ts';

/** After the jobs' own cap: closing servers, pools and the embedded databases. */
const CLOSE_CAP_MS = LIMITS.shutdownCapMs + 10_000;

/**
 * Runs the worker, the web, or both, until a signal. SIGTERM and SIGINT: no new job, running ones end within their cap, exit 0. A second signal
 * exits at once with 1. An uncaught error is logged without its message, everything is closed, exit 1.
 */
export async function runProcess({ parts }: { readonly parts: readonly ('worker' | 'web')[] }): Promise<void> {
  const environment = readEnvironment();
  if (parts.includes('web')) checkWebSettings(environment);
  const composition = await compose(environment);
  const { log } = composition.context;
  const running: Running[] = [];
  const stopAll = async (): Promise<void> => {
    for (const part of running.splice(0)) await part.stop();
    await composition.close();
  };
  const grace = closeWithGrace({ delay: CLOSE_CAP_MS, logger: false }, async ({ err, signal }) => {
    if (err !== undefined) log.error('uncaught', { code: codeOf(err), frames: framesOf(err) });
    log.info('stopping', { reason: signal ?? 'error' });
    await stopAll();
    log.info('stopped');
  });
  try {
    if (parts.includes('web')) running.push(await startWeb({ composition, environment }));
    if (parts.includes('worker')) running.push(await startWorker({ composition, environment }));
  } catch (error) {
    // It would take the end of a failed start for a normal one, and exit with 0.
    grace.uninstall();
    await stopAll();
    throw error instanceof PerennialError ? error : new PerennialError('internal');
  }
}
