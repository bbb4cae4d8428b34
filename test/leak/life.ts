import { randomBytes } from 'node:crypto';
import { publicJwkSchema } from '../../src/adapters/intake/seal.ts';
import { createClient } from '../../src/client.ts';
import { type AuthorizationRequest, parseAuthorizationRequest } from '../../src/contract/wire.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import { API_KEY, type Served } from '../support/processes.ts';
import type { Place } from '../support/system-places.ts';
import type { Trace } from '../support/system-traces.ts';
import { until } from '../support/system-until.ts';
import { type LeakyUpstream, TOKEN_LIFE_S } from './upstream.ts';

export const DASHBOARD = { DASHBOARD_USER: 'someone', DASHBOARD_PASSWORD: 'a-password-of-the-dashboard' } as const;
const HEADERS = { authorization: `Bearer ${API_KEY}` };
/** So old is a token that is handed over: five seconds of real time are left to it. */
const HALF_OVER_MS = (TOKEN_LIFE_S / 2) * 1_000;

/** Whose end comes by itself, whose is asked for, and who stays. */
export type Lives = { readonly once: string; readonly ended: readonly [string, string]; readonly kept: string };

/** Authorizations of each kind, handed over in each way, with failures on all of their ways; all pulled when this resolves. */
export async function liveThrough({
  upstream,
  server,
  place,
  clock,
}: {
  readonly upstream: LeakyUpstream;
  readonly server: Served;
  readonly place: Place;
  readonly clock: Clock;
}): Promise<Lives> {
  const newId = (what: string) => `${what}-${randomBytes(8).toString('hex')}`;
  const lives: Lives = { once: newId('once'), ended: [newId('ended'), newId('searched')], kept: newId('kept') };
  const [ended, searched] = lives.ended;
  const handed = (id: string): AuthorizationRequest => {
    const { accessToken, refreshToken, patient } = upstream.handedOut();
    const issuedAt = new Date(clock.now() - HALF_OVER_MS).toISOString();
    return requestOf({ id, accessToken, refreshToken, patient, issuedAt, expiresIn: TOKEN_LIFE_S });
  };
  const requests = [
    () => requestOf({ id: searched, source: 'searching', ...upstream.connected({ refreshable: true }) }),
    () => handed(ended),
    () => handed(lives.kept),
    () => requestOf({ id: lives.once, usage: 'ONE_TIME', ...upstream.connected({ refreshable: false }) }),
  ];
  const odd = { ...handed(ended), usage: 'ONE_TIME' as const };
  if (place.redis === null) for (const request of requests) await server.api.enqueue(request());
  else await handThroughRedis({ server, redis: place.redis, requests, odd });
  await refused({ server, request: { ...odd, surprise: odd.accessToken } });
  for (const id of [...lives.ended, lives.kept, lives.once])
    await server.reaches(id, 'pulled', ({ lastPull }) => lastPull !== null);
  await until('all refused once', upstream.echoes, (echoes) => echoes >= 8);
  return lives;
}

function requestOf(change: Readonly<Record<string, unknown>>): AuthorizationRequest {
  const endpoint = { id: 'some-payer', name: 'Some Payer' };
  return parseAuthorizationRequest({
    ...{ source: 'leaky', usage: 'MULTIPLE', network: 'CMS_9115', endpoint },
    ...change,
  });
}

/** Sealed, through the queue; then one that is refused, and so is left there as a failed job. */
async function handThroughRedis({
  server,
  redis,
  requests,
  odd,
}: {
  readonly server: Served;
  readonly redis: { readonly url: string; readonly prefix: string };
  readonly requests: readonly (() => AuthorizationRequest)[];
  readonly odd: AuthorizationRequest;
}): Promise<void> {
  const workerKey = publicJwkSchema.parse(
    await (await fetch(`${server.url}/v1/intake-key`, { headers: HEADERS })).json(),
  );
  const client = createClient({ redisUrl: redis.url, queuePrefix: redis.prefix, workerKey, service: 'portal' });
  for (const [request, wanted] of [
    ...requests.map((one) => [one, 'accepted'] as const),
    [() => odd, 'refused'] as const,
  ]) {
    const sent = await client.enqueue(request());
    if (sent.via !== 'queue') throw new Error('it went another way');
    const outcome = await client.outcome(sent.jobId, { timeoutMs: 20_000 });
    if ((outcome === 'accepted' ? outcome : 'refused') !== wanted) throw new Error(`it was ${JSON.stringify(outcome)}`);
  }
  await client.close();
}

async function refused({ server, request }: { readonly server: Served; readonly request: unknown }): Promise<void> {
  const headers = { ...HEADERS, 'content-type': 'application/json' };
  const response = await fetch(`${server.url}/v1/authorizations`, {
    method: 'POST',
    headers,
    body: JSON.stringify(request),
  });
  if (response.status !== 400) throw new Error(`it was answered with ${response.status}`);
}

/** What everybody may see who may see something: dashboard, metrics, lists, events. */
export async function lookedAt({
  server,
  ids,
}: {
  readonly server: Served;
  readonly ids: readonly string[];
}): Promise<readonly Trace[]> {
  const { DASHBOARD_USER, DASHBOARD_PASSWORD } = DASHBOARD;
  const basic = `Basic ${Buffer.from(`${DASHBOARD_USER}:${DASHBOARD_PASSWORD}`).toString('base64')}`;
  const pages = ['intake', 'activate', 'refresh-and-pull', 'fetch-once', 'purge'].flatMap((queue) =>
    ['latest', 'failed', 'completed', 'delayed'].map(
      (state) => `/dashboard/api/queues?activeQueue=${queue}&status=${state}&page=1&jobsPerPage=50`,
    ),
  );
  const views = ['/v1/authorizations', '/v1/events', '/v1/sources', ...ids.map((id) => `/v1/authorizations/${id}`)];
  return Promise.all(
    [...pages, '/metrics', ...views].map(async (path) => {
      const headers = path.startsWith('/dashboard') ? { authorization: basic } : HEADERS;
      const response = await fetch(`${server.url}${path}`, { headers });
      if (response.status !== 200) throw new Error(`${path} answered ${response.status}`);
      return { where: `GET ${path}`, text: await response.text() };
    }),
  );
}
