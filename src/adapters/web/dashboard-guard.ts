import type { FastifyReply, FastifyRequest } from 'fastify';
import { PerennialError } from '../../core/errors.ts';
import type { Log } from '../../core/ports/telemetry.ts';
import type { Secret } from '../../core/secret.ts';
import { sameBytes, sha256 } from './auth.ts';
import { answerFailure, routeOf } from './failures.ts';

/**
 * Who may see the dashboard. `proxy` trusts a header that the proxy in front sets (and must strip from what comes in); give `value`
 * where anything but the proxy can reach the port. `none` is for loopback only.
 */
export type DashboardAuth =
  | { readonly kind: 'basic'; readonly user: string; readonly password: Secret }
  | { readonly kind: 'proxy'; readonly header: string; readonly value?: string }
  | { readonly kind: 'none' };

const SAFE_METHODS = new Set(['GET', 'HEAD']);
const LOOPBACK = /^(127(\.\d{1,3}){3}|localhost|::1|\[::1\])$/;

/** Whether nothing but this machine reaches the address. A wildcard or an empty host is reached by everybody. */
function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** @throws PerennialError `config_invalid` for a dashboard without authentication on an address that others reach. */
export function assertGuarded({ auth, host }: { readonly auth: DashboardAuth; readonly host: string }): void {
  if (auth.kind === 'proxy' && auth.value === undefined && !isLoopback(host)) {
    throw new PerennialError('config_invalid', {
      field: 'DASHBOARD_PROXY_VALUE is needed when HOST is not a loopback address: anybody could send the header',
    });
  }
  if (auth.kind === 'none' && !isLoopback(host)) {
    throw new PerennialError('config_invalid', {
      field: 'DASHBOARD_USER and DASHBOARD_PASSWORD (or a proxy header) are needed when HOST is not a loopback address',
    });
  }
}

/** A hook before every route of the dashboard: credentials, then read-only, then forged requests. */
export function dashboardGuard({
  auth,
  writable,
  log,
}: {
  readonly auth: DashboardAuth;
  readonly writable: boolean;
  readonly log: Log;
}): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined> {
  return async (request, reply) => {
    const refusal = refusalOf({ auth, writable, request });
    if (refusal === null) return undefined;
    const { code } = refusal.error;
    log.warn(refusal.event, { route: routeOf(request), code, address: request.ip });
    if (code === 'unauthenticated' && auth.kind === 'basic') {
      reply.header('www-authenticate', 'Basic realm="Perennial", charset="UTF-8"');
    }
    // Answered here and not thrown: bull-board's own error handler would make a 500 of it.
    return answerFailure({ error: refusal.error, request, reply, log });
  };
}

/** Whether a request only looks. */
export function isSafe({ method }: Pick<FastifyRequest, 'method'>): boolean {
  return SAFE_METHODS.has(method);
}

type Refusal = { readonly event: string; readonly error: PerennialError };

function refusalOf({
  auth,
  writable,
  request,
}: {
  readonly auth: DashboardAuth;
  readonly writable: boolean;
  readonly request: FastifyRequest;
}): Refusal | null {
  if (!isLetIn({ auth, request })) {
    return { event: 'authentication_failed', error: new PerennialError('unauthenticated') };
  }
  if (isSafe(request)) return null;
  if (!writable) {
    const error = new PerennialError('forbidden', { field: 'the dashboard is read-only' });
    return { event: 'read_only_refused', error };
  }
  if (isSameOrigin(request)) return null;
  const error = new PerennialError('forbidden', { field: 'a request from another site' });
  return { event: 'forged_request_refused', error };
}

function isLetIn({ auth, request }: { readonly auth: DashboardAuth; readonly request: FastifyRequest }): boolean {
  if (auth.kind === 'basic') return isBasic({ auth, header: request.headers.authorization ?? '' });
  if (auth.kind === 'proxy') {
    const sent = request.headers[auth.header.toLowerCase()];
    if (typeof sent !== 'string' || sent === '') return false;
    return auth.value === undefined || sameBytes(sha256(sent), sha256(auth.value));
  }
  // A page that rebinds its name to 127.0.0.1 still sends its own name.
  return isLoopback(request.hostname);
}

function isBasic({
  auth,
  header,
}: {
  readonly auth: Extract<DashboardAuth, { kind: 'basic' }>;
  readonly header: string;
}): boolean {
  const encoded = /^Basic +([A-Za-z0-9+/=]{1,1024}) *$/i.exec(header)?.[1];
  if (encoded === undefined) return false;
  const sent = Buffer.from(encoded, 'base64').toString('utf8');
  return sameBytes(sha256(sent), sha256(`${auth.user}:${auth.password.reveal()}`));
}

/** Browsers say where a request comes from; one that says nothing is a tool with credentials of its own. */
function isSameOrigin(request: FastifyRequest): boolean {
  const site = request.headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  const { origin } = request.headers;
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === request.host;
}
