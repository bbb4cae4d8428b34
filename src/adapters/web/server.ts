import { type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import type { Service } from '../../contract/service.ts';
import { PerennialError } from '../../core/errors.ts';
import { FRESHNESS_LIMITS } from '../../core/freshness-limits.ts';
import { LIMITS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Log } from '../../core/ports/telemetry.ts';
import { type ApiKey, type Callers, createCallers } from './auth.ts';
import { type DashboardOptions, registerDashboard } from './dashboard.ts';
import { answerFailure, installFailures, routeOf } from './failures.ts';
import { type Health, registerHealth } from './health.ts';
import { openApiOf } from './openapi.ts';
import type { Route } from './routes.ts';
import type { IntakeKey, SigningKey } from './schemas.ts';
import { createV1Routes } from './v1.ts';

const limits = {
  /** To receive a whole request; bodies are small. */
  requestTimeoutMs: 15_000,
  /** A socket on which nothing moves; also ends a reader of records who stopped reading. */
  socketIdleMs: 60_000,
  /** An id has 128 characters; longer ones still reach their message. */
  paramMaxChars: 512,
} as const;

export type WebOptions = {
  readonly service: Service;
  readonly log: Log;
  readonly metricsText: () => Promise<string>;
  readonly health: Health;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly apiKeys: readonly ApiKey[];
  /** False leaves the API out: probes and metrics only. */
  readonly api?: boolean;
  /** Null leaves the dashboard out. */
  readonly dashboard: DashboardOptions | null;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly version: string;
  readonly intakePublicJwk: IntakeKey;
  readonly signingPublicJwk: SigningKey;
};

export type WebServer = {
  /** Where it listens, with the port it got: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Stops listening, lets running requests end within LIMITS.shutdownCapMs, then cuts them. Safe to call again. */
  readonly close: () => Promise<void>;
};

/**
 * Listens with API, health, metrics and dashboard.
 * @throws PerennialError `config_invalid` naming the setting: an unprotected dashboard, an address that cannot be had.
 */
export async function createWebServer(options: WebOptions): Promise<WebServer> {
  const app = buildApp(options);
  try {
    await app.listen({ host: options.host, port: options.port });
  } catch (error) {
    await app.close();
    if (error instanceof PerennialError) throw error;
    throw new PerennialError('config_invalid', { field: 'HOST or PORT: the address cannot be listened on' });
  }
  let closing: Promise<void> | null = null;
  return {
    url: urlOf({ app, host: options.host }),
    close: () => {
      closing ??= closeWithin({ app, clock: options.clock });
      return closing;
    },
  };
}

/** The application without its socket. `onRoute` hears of every route as it is registered. */
export function buildApp(options: WebOptions & { readonly onRoute?: (route: string) => void }): FastifyInstance {
  const { log, clock, health, metricsText, dashboard, host, onRoute } = options;
  const app = fastify({
    logger: false,
    bodyLimit: LIMITS.requestMaxBytes,
    requestTimeout: limits.requestTimeoutMs,
    connectionTimeout: limits.socketIdleMs,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: limits.paramMaxChars },
    frameworkErrors: (error, request, reply) => {
      // No hook runs for a url that cannot be read.
      setHeaders(reply).header('cache-control', 'no-store');
      answerFailure({ error, request, reply, log });
    },
  });
  if (onRoute !== undefined) app.addHook('onRoute', ({ method, url }) => onRoute(`${method} ${url}`));
  const callers = createCallers({ apiKeys: options.apiKeys, log });
  // The API takes JSON alone; fastify would take text/plain too.
  app.removeContentTypeParser('text/plain');
  installFailures({ app, log });
  installHeaders(app);
  installRequestLog({ app, callers, log });
  registerHealth({ app, health, metricsText, clock });
  if (options.api !== false) registerV1({ app, callers, options });
  if (dashboard !== null) registerDashboard({ app, dashboard, host, service: options.service, log });
  return app;
}

function registerV1({
  app,
  callers,
  options,
}: {
  readonly app: FastifyInstance;
  readonly callers: Callers;
  readonly options: WebOptions;
}): void {
  const routes: Route[] = [...createV1Routes(options)];
  routes.push({
    method: 'GET',
    path: '/v1/openapi.json',
    operationId: 'getOpenApi',
    summary: 'This document.',
    scope: null,
    success: [{ status: 200, description: 'An OpenAPI 3.1 document', schema: null, contentType: 'application/json' }],
    errors: [],
    handle: async () => document,
  });
  const document = openApiOf({ routes, version: options.version });
  const register = (scope: FastifyInstance, { method, path, scope: needed, handle }: Route) =>
    scope.route({
      method,
      url: path,
      ...(needed === null ? {} : { onRequest: callers.guard(needed) }),
      handler: (request, reply) =>
        handle({ request, reply, actor: `service:${callers.serviceOf(request) ?? 'anonymous'}` }),
    });
  for (const route of routes) if (route.rawBody !== true) register(app, route);
  app.register(async (raw) => {
    takeBytes(raw);
    for (const route of routes) if (route.rawBody === true) register(raw, route);
  });
}

/** A signature is over the bytes: parsed and written again they are others. */
function takeBytes(raw: FastifyInstance): void {
  raw.removeAllContentTypeParsers();
  const options = { parseAs: 'buffer', bodyLimit: FRESHNESS_LIMITS.hookMaxBytes } as const;
  raw.addContentTypeParser('*', options, (_request, body, done) => done(null, body));
}

function installHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    setHeaders(reply);
    if (request.routeOptions.url?.startsWith('/dashboard') !== true) reply.header('cache-control', 'no-store');
  });
}

function setHeaders(reply: FastifyReply): FastifyReply {
  return reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer');
}

function installRequestLog({
  app,
  callers,
  log,
}: {
  readonly app: FastifyInstance;
  readonly callers: Callers;
  readonly log: Log;
}): void {
  app.addHook('onResponse', async (request, reply) => {
    const url = request.routeOptions.url;
    const isApi = url === undefined || url.startsWith('/v1/');
    // Probes, scrapes and the dashboard's polling would drown what matters; their failures do not.
    if (!isApi && reply.statusCode < 400) return;
    const service = callers.serviceOf(request);
    log.info('request', {
      route: routeOf(request),
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime),
      ...(service === null ? {} : { service }),
    });
  });
}

async function closeWithin({
  app,
  clock,
}: {
  readonly app: FastifyInstance;
  readonly clock: Pick<Clock, 'sleep'>;
}): Promise<void> {
  const done = new AbortController();
  const cut = clock.sleep(LIMITS.shutdownCapMs, done.signal).then(() => app.server.closeAllConnections());
  try {
    await app.close();
  } finally {
    done.abort();
    await cut;
  }
}

function urlOf({ app, host }: { readonly app: FastifyInstance; readonly host: string }): string {
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const shown = host === '0.0.0.0' || host === '' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}`;
}
