import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { controlRoutes } from './control-routes.ts';
import { fhirRoutes } from './fhir-routes.ts';
import type { Knobs } from './knobs.ts';
import { LIMITS } from './limits.ts';
import { linkRoutes } from './link-routes.ts';
import { openRoutes } from './open-routes.ts';
import { namedUuid } from './random.ts';
import { boom, outcome, Refusal, type Reply } from './reply.ts';
import { type Request, readRequest } from './request.ts';
import { findRoute, type Route } from './router.ts';
import { send } from './send.ts';
import { createState, type Sandbox } from './state.ts';
import { tokenRoutes } from './token-routes.ts';
import { createWebhooks } from './webhooks.ts';

export type SandboxOptions = {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Everything synthetic follows from it: directory, patients, keys, refresh tokens. */
  readonly seed: number;
  /** `now` is domain milliseconds and may run fast; `toWallMs` says how long a domain duration takes on the wall. */
  readonly clock: {
    readonly now: () => number;
    readonly toWallMs: (durationMs: number) => number;
    /** What webhooks are dated by; `now` where it is not told. */
    readonly wallNow?: () => number;
  };
  readonly publishableKey?: string;
  readonly secretKey?: string;
  readonly knobs?: Partial<Knobs>;
};

export type RunningSandbox = { readonly url: string; readonly port: number; readonly close: () => Promise<void> };

const ROUTES: readonly Route[] = [...openRoutes, ...tokenRoutes, ...linkRoutes, ...fhirRoutes, ...controlRoutes];

/**
 * Starts a Flexpa-compatible server with synthetic patients, in memory, and resolves once it listens.
 * `close` ends every connection and pending reply, and leaves no handle behind.
 */
export async function startSandbox(options: SandboxOptions): Promise<RunningSandbox> {
  const { host = '127.0.0.1', port = 0, clock } = options;
  const closing = new AbortController();
  const sandbox = createState({
    seed: options.seed,
    now: clock.now,
    publishableKey: options.publishableKey ?? 'pk_test_sandbox',
    secretKey: options.secretKey ?? 'sk_test_sandbox',
    knobs: options.knobs ?? {},
    webhooks: createWebhooks({ seed: options.seed, wallNow: clock.wallNow ?? clock.now, signal: closing.signal }),
  });
  const server = createServer({ requestTimeout: LIMITS.requestTimeoutMs }, (incoming, response) => {
    void serve({ sandbox, incoming, response, toWallMs: clock.toWallMs, signal: closing.signal });
  });
  const boundPort = await listen(server, host, port);
  sandbox.baseUrl = `http://${host.includes(':') ? `[${host}]` : host}:${boundPort}`;
  return {
    url: sandbox.baseUrl,
    port: boundPort,
    close: () => {
      closing.abort();
      return stop(server);
    },
  };
}

async function serve(options: {
  sandbox: Sandbox;
  incoming: IncomingMessage;
  response: ServerResponse;
  toWallMs: (durationMs: number) => number;
  signal: AbortSignal;
}): Promise<void> {
  const { sandbox, incoming, response, toWallMs, signal } = options;
  sandbox.requests += 1;
  sandbox.tick();
  response.setHeader('X-Request-Id', namedUuid(`perennial-sandbox/${sandbox.seed}/request/${sandbox.requests}`));
  // The domain's date, so that a Retry-After date and the Date header are on one clock.
  response.setHeader('Date', new Date(sandbox.now()).toUTCString());
  const reply = await answer(sandbox, incoming);
  // A body that was not read to its end would be taken for the next request on this connection.
  if (!incoming.complete) response.setHeader('Connection', 'close');
  try {
    await send(response, reply, { delayMs: toWallMs(reply.delayMs ?? 0), signal });
  } catch {
    // Only a delay cut short by close() ends up here; nobody is left to answer.
    response.destroy();
  }
}

async function answer(sandbox: Sandbox, incoming: IncomingMessage): Promise<Reply> {
  try {
    return dispatch(sandbox, await readRequest(incoming));
  } catch (error) {
    if (error instanceof Refusal) return error.reply;
    const fhirPath = incoming.url?.startsWith('/fhir/') === true;
    return fhirPath ? outcome(500, 'exception', 'Internal error') : boom(500, 'An internal server error occurred');
  }
}

function dispatch(sandbox: Sandbox, request: Request): Reply {
  // Again, since time has passed while the body came in.
  sandbox.tick();
  const route = findRoute(ROUTES, request);
  if (route !== null) return route.handle(sandbox, request, route.params);
  const unknown = request.segments[0] === 'fhir';
  return unknown ? outcome(404, 'not-supported', 'Operation is not supported') : boom(404, 'Not Found');
}

function listen(server: Server, host: string, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', reject);
  server.listen(port, host, () => {
    server.off('error', reject);
    const address = server.address();
    resolve(typeof address === 'object' && address !== null ? address.port : port);
  });
  return promise;
}

function stop(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeAllConnections();
  return promise;
}
