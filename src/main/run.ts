import { activateJob } from '../../jobs/activate.ts';
import { fetchOnceJob } from '../../jobs/fetch-once.ts';
import { intakeJob } from '../../jobs/intake.ts';
import { purgeJob } from '../../jobs/purge.ts';
import { runReconciler } from '../../jobs/reconciler.ts';
import { refreshAndPullJob } from '../../jobs/refresh-and-pull.ts';
import { anchorOnce, runSweeper } from '../../jobs/sweeper.ts';
import { createOpener } from '../adapters/intake/seal.ts';
import { consume } from '../adapters/queue/consume.ts';
import { assertGuarded } from '../adapters/web/dashboard-guard.ts';
import { createHealth } from '../adapters/web/health.ts';
import { createWebServer, type WebServer } from '../adapters/web/server.ts';
import type { Environment } from '../config.ts';
import { LIMITS } from '../core/limits.ts';
import { applyCadence } from '../flows/apply-cadence.ts';
import { catchUp } from '../flows/catch-up.ts';
import { createTokenDesk, type TokenDesk } from '../flows/give-token.ts';
import { createService } from '../flows/serve.ts';
import { parseApiKeys } from './api-keys.ts';
import type { Composition } from './compose.ts';
import { dashboardAuthOf } from './dashboard-settings.ts';
import { keepShards } from './keep-shards.ts';
import { version } from './version.ts';

/** A running part of the process. `stop` lets what runs end, within its cap. */
export type Running = { readonly stop: () => Promise<void> };

/**
 * How long after the cap a cancelled job may take: a token that is being spent is never cut off, because its reply may be the only copy of
 * the next one. All else ends at once.
 */
const CANCEL_CAP_MS = LIMITS.tokenRequestTimeoutMs + LIMITS.commitRetryForMs;

/** Takes jobs from every queue, and sweeps. Sources that were suspended are tried again, since a restart may have brought a mended key. */
export async function startWorker({
  composition: { context, backend, census, shards, intake, stopping },
  environment,
}: {
  readonly composition: Composition;
  readonly environment: Environment;
}): Promise<Running> {
  const cancelling = new AbortController();
  const { clock, log, metrics } = context;
  await context.store.probeSources();
  // Before any job is taken: all that is past due wakes at once, and waits for its new plan. Purges and open tokens wait for nothing.
  const caughtUp = catchUp({ context, signal: stopping.signal, waits: true });
  const sweeping = runSweeper({ context, signal: stopping.signal, caughtUp });
  await caughtUp;
  const service = createService(context);
  const open = createOpener({ privateJwks: intake.privateJwks });
  const consumers = consume({
    backend,
    definitions: [
      intakeJob({ service, open }),
      activateJob(context),
      refreshAndPullJob(context),
      fetchOnceJob(context),
      purgeJob(context),
    ],
    concurrency: environment.WORKER_CONCURRENCY,
    clock,
    log,
    metrics,
    signal: cancelling.signal,
  });
  const applying = applyCadence({ context, signal: stopping.signal });
  const reconciling = runReconciler({ context, census, signal: stopping.signal });
  const keeping = keepShards({ keeper: shards, context, takes: true, signal: stopping.signal });
  log.info('worker_started', { count: environment.WORKER_CONCURRENCY, reason: backend.kind });
  return {
    stop: async () => {
      stopping.abort();
      const ended = new AbortController();
      const closed = consumers.close({ force: false }).finally(() => ended.abort());
      const within = async (wallMs: number): Promise<boolean> =>
        Promise.race([closed.then(() => true), clock.sleep(wallMs, ended.signal).then(() => false)]);
      if (!(await within(LIMITS.shutdownCapMs))) {
        cancelling.abort();
        await within(CANCEL_CAP_MS);
      }
      await Promise.all([sweeping, reconciling, keeping, applying]);
      await anchorOnce(context);
      log.info('worker_stopped');
    },
  };
}

/** What the web would refuse to start with, before anything is opened. @throws PerennialError `config_invalid` naming the setting. */
export function checkWebSettings(environment: Environment): void {
  parseApiKeys(environment.API_KEYS);
  assertGuarded({ auth: dashboardAuthOf(environment), host: environment.HOST });
}

/** Health and metrics of a worker that runs without the web: its counters are in no other process. */
export async function startProbes(parts: Parts & { readonly port: number }): Promise<Running> {
  const server = await listen({ ...parts, api: false });
  return { stop: server.close };
}

/** Listens: API, dashboard, health, metrics. Its stop waits for tokens that callers made it spend. */
export async function startWeb(parts: Parts): Promise<Running & { readonly server: WebServer }> {
  const { context } = parts.composition;
  const desk = createTokenDesk(context);
  const server = await listen({ ...parts, port: parts.environment.PORT, api: true, desk });
  const closing = new AbortController();
  const keeping = keepShards({ keeper: parts.composition.shards, context, takes: false, signal: closing.signal });
  const stop = async (): Promise<void> => {
    closing.abort();
    await keeping;
    await server.close();
    const settled = new AbortController();
    const waiting = desk.settled().finally(() => settled.abort());
    await Promise.race([waiting, context.clock.sleep(CANCEL_CAP_MS, settled.signal)]);
  };
  return { server, stop };
}

type Parts = { readonly composition: Composition; readonly environment: Environment };

async function listen({
  composition: { context, backend, queue, telemetry, intake, signingPublicJwk },
  environment,
  port,
  api,
  desk,
}: Parts & { readonly port: number; readonly api: boolean; readonly desk?: TokenDesk }): Promise<WebServer> {
  const { clock, log, store, vault } = context;
  const dashboard = {
    queues: queue.queues.map(({ queue: one }) => one),
    auth: dashboardAuthOf(environment),
    writable: environment.DASHBOARD_WRITABLE,
    workersKnown: backend.kind !== 'embedded',
  };
  const server = await createWebServer({
    service: createService(context, desk),
    log,
    metricsText: telemetry.text,
    health: createHealth({ probes: { database: store.ping, queue: queue.ping, keys: vault.ping }, clock }),
    clock,
    apiKeys: parseApiKeys(environment.API_KEYS),
    api,
    dashboard: api ? dashboard : null,
    host: environment.HOST,
    port,
    version,
    intakePublicJwk: intake.publicJwk,
    signingPublicJwk,
  });
  log.info(api ? 'web_started' : 'probes_started', { address: server.url });
  return server;
}
