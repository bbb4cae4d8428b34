import { describe, expect, test } from 'vitest';
import type { HttpReply } from '../../src/adapters/upstream/http.ts';
import { readTokenReply } from '../../src/adapters/upstream/token-reply.ts';
import type { Trouble } from '../../src/core/authorization.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { JobOutcome } from '../../src/core/ports/queue.ts';
import { refreshAndPull } from '../../src/flows/refresh-and-pull.ts';
import { accept } from '../support/model/accept.ts';
import type { Plan } from '../support/model/plan.ts';
import { createWorker } from '../support/model/worker.ts';
import { createWorld, EPOCH_MS } from '../support/model/world.ts';

const ID = 'authorization';
const HOUR_MS = 3_600_000;
const PLAN: Plan = {
  seed: 3,
  policy: 'strict',
  workers: 1,
  authorizations: 1,
  rounds: 1,
  refreshLifetimeMs: null,
  callers: 0,
  hits: [],
  jolts: [],
  posts: [],
  deadlineFirst: false,
  connectMaxMs: 200,
};

const HTML = '<!doctype html><title>Error</title><p>error=invalid_grant</p>';
const INVALID_GRANT = '{"error":"invalid_grant","error_description":"gone"}';

type Fault = {
  readonly name: string;
  readonly http: HttpReply;
  readonly trouble: Trouble['kind'];
  readonly code: ErrorCode;
  /** How long the token is left alone, where the source named a time. */
  readonly waitMs?: number;
};

/** Everything that goes wrong on the way to a token endpoint and back, and says nothing of the token. */
const FAULTS: readonly Fault[] = [
  { name: 'connection refused', http: none('connection', false), trouble: 'outage', code: 'upstream_unavailable' },
  { name: 'reset before the reply', http: none('connection', true), trouble: 'unsure', code: 'refresh_unsure' },
  { name: 'no reply in time', http: none('timeout', true), trouble: 'unsure', code: 'refresh_unsure' },
  { name: 'no connection in time', http: none('timeout', false), trouble: 'outage', code: 'upstream_unavailable' },
  { name: 'a reply that is cut short', http: none('cut_short', true), trouble: 'unsure', code: 'refresh_unsure' },
  { name: 'a reply without end', http: none('too_large', true), trouble: 'unsure', code: 'refresh_unsure' },
  { name: '429', http: reply(429, ''), trouble: 'throttled', code: 'upstream_throttled' },
  {
    name: '429 with Retry-After',
    http: reply(429, '', { 'retry-after': '120' }),
    trouble: 'throttled',
    code: 'upstream_throttled',
    waitMs: 120_000,
  },
  { name: '500', http: reply(500, ''), trouble: 'outage', code: 'upstream_unavailable' },
  {
    name: '500 that says invalid_grant',
    http: reply(500, INVALID_GRANT),
    trouble: 'outage',
    code: 'upstream_unavailable',
  },
  { name: '502 of a gateway, in HTML', http: reply(502, HTML), trouble: 'outage', code: 'upstream_unavailable' },
  {
    name: '503 with Retry-After',
    http: reply(503, HTML, { 'retry-after': '90' }),
    trouble: 'outage',
    code: 'upstream_unavailable',
    waitMs: 90_000,
  },
  { name: '200 in HTML', http: reply(200, HTML), trouble: 'unsure', code: 'refresh_unsure' },
  { name: '200 with nothing in it', http: reply(200, '{}'), trouble: 'unsure', code: 'refresh_unsure' },
  {
    name: '200 without an access token',
    http: reply(200, '{"token_type":"bearer","expires_in":3600}'),
    trouble: 'unsure',
    code: 'refresh_unsure',
  },
  {
    name: '200 that is no whole JSON',
    http: reply(200, '{"access_token":"x'),
    trouble: 'unsure',
    code: 'refresh_unsure',
  },
  { name: '302', http: reply(302, '', { location: 'https://login.test/' }), trouble: 'unsure', code: 'refresh_unsure' },
  { name: '403 of a firewall, in HTML', http: reply(403, HTML), trouble: 'unsure', code: 'refresh_unsure' },
  { name: '400 that is not JSON', http: reply(400, 'bad request'), trouble: 'unsure', code: 'refresh_unsure' },
];

function none(reason: Extract<HttpReply, { readonly kind: 'none' }>['reason'], sent: boolean): HttpReply {
  return { kind: 'none', reason, sent };
}

function reply(status: number, body: string, headers: Readonly<Record<string, string>> = {}): HttpReply {
  return { kind: 'reply', status, headers: new Map(Object.entries(headers)), bytes: new TextEncoder().encode(body) };
}

describe('a failure on the way to a token', () => {
  test.each(FAULTS)('changes nothing of its authorization and is over when it ends: $name', async (fault) => {
    const { world, run, stands, mend } = await openWorld(fault.http);
    const [before, sealed] = [stands(), world.tables.tokens.get(ID)];
    expect(await run()).toMatchObject({ reason: fault.code });
    const { trouble, ...after } = stands();
    expect(after).toMatchObject({ state: 'active', stateReason: 'accepted', ends: before.ends, lastError: fault.code });
    expect(trouble?.kind).toBe(fault.trouble);
    expect(world.tables.tokens.get(ID)).toBe(sealed);
    expect(world.tables.audit.map(({ action }) => action)).toEqual(['accepted']);
    const waitsMs = (trouble?.until ?? 0) - world.timeline.now();
    if (fault.waitMs !== undefined) expect(waitsMs).toBeCloseTo(fault.waitMs, -3);
    mend();
    await world.timeline.runUntil(world.timeline.now() + waitsMs + 1);
    expect((await run()).kind).toBe('done');
    expect(world.tables.tokens.get(ID)?.version).toBe(2);
    expect(world.tables.intents.has(ID)).toBe(false);
    expect(stands()).toMatchObject({ state: 'active', trouble: null, lastError: null });
  });

  test.each([
    { status: 400, stateReason: 'revoked' },
    { status: 401, stateReason: 'revoked' },
    { status: 403, stateReason: 'revoked' },
  ])('control: $status with invalid_grant ends it', async ({ status, stateReason }) => {
    const { run, stands } = await openWorld(reply(status, INVALID_GRANT));
    expect(await run()).toEqual({ kind: 'done', reason: stateReason });
    expect(stands()).toMatchObject({ state: 'needs_reauthorization', stateReason, nextRunAt: null });
  });
});

/** One worker, one authorization whose token is due, and a token endpoint that answers one thing only until it is mended. */
async function openWorld(http: HttpReply) {
  const world = createWorld(PLAN);
  await accept({ world, id: ID });
  const mended = new AbortController();
  const { context } = createWorker({
    world,
    index: 0,
    variant: {
      source: (source) => ({
        ...source,
        refresh: async (request) =>
          mended.signal.aborted ? source.refresh(request) : readTokenReply({ http, now: world.timeline.now() }),
      }),
    },
  });
  const run = async (): Promise<JobOutcome> => {
    const seen: { outcome: JobOutcome | null } = { outcome: null };
    const { signal } = new AbortController();
    void refreshAndPull({ context, authorizationId: ID, askedFor: false, signal }).then((outcome) => {
      seen.outcome = outcome;
    });
    await world.timeline.runUntil(EPOCH_MS + 24 * HOUR_MS, () => seen.outcome !== null);
    if (seen.outcome === null) throw new Error('the run does not end');
    return seen.outcome;
  };
  const stands = () => {
    const row = world.tables.authorizations.get(ID);
    if (row === undefined) throw new Error('the authorization is gone');
    return row.authorization;
  };
  return { world, run, stands, mend: () => mended.abort() };
}
