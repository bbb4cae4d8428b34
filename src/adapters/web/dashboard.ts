import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { HTTPStatus } from '@bull-board/api/typings/app';
import { FastifyAdapter } from '@bull-board/fastify';
import { Queue } from 'bullmq';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { queueTitleOf } from '../../contract/queue-keys.ts';
import type { Service } from '../../contract/service.ts';
import { PerennialError } from '../../core/errors.ts';
import type { QueueName } from '../../core/ports/queue.ts';
import type { Log } from '../../core/ports/telemetry.ts';
import { dashboardAudit } from './dashboard-audit.ts';
import { assertGuarded, type DashboardAuth, dashboardGuard } from './dashboard-guard.ts';
import { scrub, shownData } from './dashboard-scrub.ts';

const limits = {
  /** bull-board loads all schedulers at once: 12 MB and 344 MB of memory at 50,000 (peers, measured). */
  schedulersMax: 5_000,
} as const;

const BASE_PATH = '/dashboard';

const DESCRIPTIONS: Readonly<Record<QueueName, string>> = {
  intake: 'Requests other services enqueued, sealed; each becomes an authorization or a refusal code.',
  activate:
    'New authorizations: exchanges the public token and plans what follows. Stuck here: nothing is scheduled yet.',
  'refresh-and-pull':
    'The repeating job of each MULTIPLE authorization: refreshes its tokens, pulls its records. Late here: records go stale.',
  'fetch-once': 'The one pull of each ONE_TIME authorization; has to end before its access token does.',
  purge:
    'Erasure: ONE_TIME data at token expiry, and what callers asked to end. Failed here: tell the privacy officer.',
};

/** bull-board loads nothing from elsewhere this way (its page asks Google for fonts), and nobody frames it. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'";

export type DashboardOptions = {
  /** BullMQ queues, on whichever backend. */
  readonly queues: readonly { readonly name: string }[];
  readonly auth: DashboardAuth;
  readonly writable: boolean;
  /** False where the backend cannot tell who takes its jobs (one embedded session): the page then says nothing, rather than "no workers". */
  readonly workersKnown?: boolean;
};

/**
 * Mounts bull-board at /dashboard: behind authentication, read-only unless `writable`, ids only.
 * @throws PerennialError `config_invalid` when it would be open to others.
 */
export function registerDashboard({
  app,
  dashboard,
  host,
  service,
  log,
}: {
  readonly app: FastifyInstance;
  readonly dashboard: DashboardOptions;
  readonly host: string;
  readonly service: Pick<Service, 'noteOperation'>;
  readonly log: Log;
}): void {
  const { auth, writable, workersKnown = true } = dashboard;
  assertGuarded({ auth, host });
  const queues = dashboard.queues.map(asQueue);
  const queueNames = queues.map(titleOf);
  const board = makeBoard({ queues, writable, workersKnown, log });
  app.register(
    async (scope) => {
      scope.addHook('onRequest', dashboardGuard({ auth, writable, log }));
      scope.addHook('onRequest', dashboardAudit({ auth, service, queueNames, log }));
      scope.addHook('onRequest', async (_request, reply) => {
        reply.header('content-security-policy', CONTENT_SECURITY_POLICY).header('x-frame-options', 'DENY');
      });
      scope.addHook('preHandler', refuseTooManySchedulers(queues));
      scope.addHook('preSerialization', async (_request, _reply, payload) => scrub(payload));
      // @fastify/view and @fastify/static decorate the instance; a scope of their own keeps that from the API.
      scope.register(board.registerPlugin());
    },
    { prefix: BASE_PATH },
  );
}

function asQueue(queue: { readonly name: string }): Queue {
  if (queue instanceof Queue) return queue;
  throw new PerennialError('config_invalid', { field: 'dashboard.queues' });
}

function titleOf({ name, opts: { prefix = '' } }: Queue): string {
  return queueTitleOf({ name, prefix });
}

function makeBoard({
  queues,
  writable,
  workersKnown,
  log,
}: {
  readonly queues: readonly Queue[];
  readonly writable: boolean;
  readonly workersKnown: boolean;
  readonly log: Log;
}): FastifyAdapter {
  const serverAdapter = new FastifyAdapter().setBasePath(BASE_PATH);
  createBullBoard({
    queues: queues.map((queue) => adapterOf({ queue, writable, workersKnown })),
    serverAdapter,
    options: {
      uiConfig: {
        boardTitle: 'Perennial',
        hideDocsLink: true,
        miscLinks: [{ text: 'Readiness', url: '/readyz' }],
        favIcon: { default: 'static/images/logo.svg', alternative: 'static/favicon-32x32.png' },
      },
    },
  });
  // bull-board's own handler answers with the message of whatever was thrown.
  serverAdapter.setErrorHandler((error) => {
    const status = statusOf(error);
    if (status === 500) log.error('dashboard_failed', { code: 'internal', reason: error.name });
    return {
      status,
      body: { error: { key: status === 500 ? 'ERRORS.INTERNAL_SERVER_ERROR' : 'ERRORS.INVALID_REQUEST_BODY' } },
    };
  });
  return serverAdapter;
}

function statusOf(error: Error): HTTPStatus {
  const status: unknown = Reflect.get(error, 'statusCode');
  return typeof status === 'number' && status >= 400 && status < 500 ? 400 : 500;
}

function adapterOf({
  queue,
  writable,
  workersKnown,
}: {
  readonly queue: Queue;
  readonly writable: boolean;
  readonly workersKnown: boolean;
}): BullMQAdapter {
  const description = Object.entries(DESCRIPTIONS).find(([name]) => name === queue.name)?.[1] ?? '';
  const adapter = new BullMQAdapter(queue, { readOnlyMode: !writable, allowRetries: writable, description });
  // bull-board tells queues apart by their names alone.
  adapter.getName = () => titleOf(queue);
  adapter.setFormatter('data', shownData);
  adapter.setFormatter('returnValue', () => null);
  adapter.setFormatter('progress', (progress: unknown) => (typeof progress === 'number' ? progress : 0));
  if (!workersKnown) adapter.getWorkers = async () => null;
  return adapter;
}

function refuseTooManySchedulers(queues: readonly Queue[]) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    if (request.routeOptions.url !== `${BASE_PATH}/api/job-schedulers`) return;
    const counts = await Promise.all(queues.map((queue) => queue.getJobSchedulersCount()));
    if (counts.reduce((sum, count) => sum + count, 0) <= limits.schedulersMax) return;
    return reply.code(409).send({
      error: { key: 'ERRORS.FORBIDDEN' },
      message: `More than ${limits.schedulersMax} repeating jobs: use "perennial list" or GET /v1/authorizations, which have pages.`,
    });
  };
}
