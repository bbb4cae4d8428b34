import closeWithGrace from 'close-with-grace';
import { readEnvironment } from '../config.ts';
import { codeOf, PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { framesOf } from '../flows/work.ts';
import { compose } from './compose.ts';
import { FAILED_EXIT, lastResort } from './last-resort.ts';
import { checkWebSettings, type Running, startProbes, startWeb, startWorker } from './run.ts';

/**
 * The jobs' cap, what a token that was being spent may still take after it, and ten seconds for servers, pools and embedded databases. Without such
 * a token a stop takes seconds.
 */
const CLOSE_CAP_MS = LIMITS.shutdownCapMs + LIMITS.tokenRequestTimeoutMs + LIMITS.commitRetryForMs + 10_000;

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
    composition.stopping.abort();
    await Promise.all(running.splice(0).map((part) => part.stop()));
    await composition.close();
  };
  let failed = false;
  const failing = (): void => {
    failed = true;
  };
  process.once('uncaughtException', failing).once('unhandledRejection', failing);
  const tell = (err: unknown): void => log.error('uncaught', { code: codeOf(err), frames: framesOf(err) });
  const options = { delay: CLOSE_CAP_MS, logger: false, onSecondError: tell } as const;
  const grace = closeWithGrace(options, async ({ err, signal }) => {
    if (failed) tell(err);
    log.info('stopping', { reason: signal ?? 'error' });
    await stopAll();
    log.info('stopped');
    // It takes a thrown `undefined` for an end without an error, and would exit with 0.
    if (failed) process.exit(FAILED_EXIT);
  });
  lastResort.uninstall();
  try {
    if (parts.includes('web')) running.push(await startWeb({ composition, environment }));
    const { WORKER_PORT: port } = environment;
    if (!parts.includes('web') && port !== undefined)
      running.push(await startProbes({ composition, environment, port }));
    if (parts.includes('worker')) running.push(await startWorker({ composition, environment }));
  } catch (error) {
    // It would take the end of a failed start for a normal one, and exit with 0.
    grace.uninstall();
    lastResort.install();
    await stopAll();
    throw error instanceof PerennialError ? error : new PerennialError('internal');
  }
}
