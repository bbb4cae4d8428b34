import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Service } from '../../contract/service.ts';
import type { Log } from '../../core/ports/telemetry.ts';
import { type DashboardAuth, isSafe } from './dashboard-guard.ts';
import { answerFailure, routeOf } from './failures.ts';

const limits = {
  /** A user's name, as an authenticating proxy gives it. */
  nameMaxChars: 64,
} as const;

/** A hook before everything on the dashboard that changes something: it is done only when it stands in the audit trail. */
export function dashboardAudit({
  auth,
  service,
  queueNames,
  log,
}: {
  readonly auth: DashboardAuth;
  readonly service: Pick<Service, 'noteOperation'>;
  readonly queueNames: readonly string[];
  readonly log: Log;
}): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined> {
  return async (request, reply) => {
    if (isSafe(request)) return undefined;
    try {
      await service.noteOperation({ actor: actorOf({ auth, request }), what: whatOf({ request, queueNames }) });
      return undefined;
    } catch (error) {
      return answerFailure({ error, request, reply, log });
    }
  };
}

function actorOf({ auth, request }: { readonly auth: DashboardAuth; readonly request: FastifyRequest }): string {
  if (auth.kind === 'basic') return `operator:${auth.user}`;
  if (auth.kind === 'none') return 'operator:loopback';
  const sent = request.headers[auth.header.toLowerCase()];
  // A value that is the shared secret of proxy and dashboard is no name.
  const isName = typeof sent === 'string' && auth.value === undefined;
  return isName ? `operator:${sent.slice(0, limits.nameMaxChars)}` : 'operator:proxy';
}

/** The route's pattern with the queue's name, if it is one of ours: all else in a url could hold anything. */
function whatOf({
  request,
  queueNames,
}: {
  readonly request: FastifyRequest;
  readonly queueNames: readonly string[];
}): string {
  const { params } = request;
  const named: unknown = typeof params === 'object' && params !== null ? Reflect.get(params, 'queueName') : undefined;
  const queue = queueNames.find((name) => name === named);
  return routeOf(request).replace(':queueName', queue ?? ':queueName');
}
