import type { Authorization } from '../../../src/core/authorization.ts';
import { periodOf } from '../../../src/core/cadence.ts';
import { NO_ENDS } from '../../../src/core/calendar.ts';
import { NETWORK_POLICIES, type NetworkName } from '../../../src/core/networks.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import type { Source } from '../../../src/core/ports/upstream.ts';
import type { TokenReply } from '../../../src/core/token-outcome.ts';
import type { Context } from '../../../src/flows/context.ts';
import { createPullPlaces } from '../../../src/flows/pull-places.ts';
import { refreshAndPull } from '../../../src/flows/refresh-and-pull.ts';
import { createSuspects } from '../../../src/flows/suspects.ts';
import { sealTokens } from '../../../src/flows/token-vault.ts';
import { NO_LEARNER } from '../no-learner.ts';
import { OPEN_GATES } from '../open-gates.ts';
import type { WholePage } from '../whole-page.ts';
import { authorizationOf, openPair } from './accept.ts';
import {
  type AuthorizationServer,
  createAuthorizationServer,
  type GrantTerms,
  type Refusal,
} from './authorization-server.ts';
import { CONFIGURED, SOURCE_NAME } from './far-source.ts';
import { pageOf, replyOf, streamOf } from './grant.ts';
import { createProcess } from './process.ts';
import { createQueueModel, queuePort } from './queue.ts';
import { createIds, createRandom, type Random } from './random.ts';
import { createStoreModel } from './store.ts';
import { createTimeline, type Timeline } from './timeline.ts';
import { createVaultModel, PLAIN_CODEC } from './vault.ts';
import { NO_METRICS, SILENT_LOG } from './worker.ts';
import { EPOCH_MS } from './world.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
/** After a downtime what is overdue runs once, soon, and spread over this long. */
const CATCHING_UP_MS = 10 * MINUTE_MS;
const THROTTLED_SHARE = 0.02;

/** One authorization of the simulated fleet. */
export type Member = {
  readonly id: string;
  readonly network: NetworkName;
  readonly terms: GrantTerms;
  /** Whether the server says when a refresh token ends. */
  readonly tellsEnd: boolean;
  readonly pullEveryMs?: number;
  readonly days: number;
};

/** Spans of time, from and to in milliseconds since the start. */
export type Spans = readonly { readonly from: number; readonly to: number }[];

export type Weather = {
  readonly seed: number;
  readonly days: number;
  /** The source answers nothing, or with errors. */
  readonly outages: Spans;
  /** No worker runs. */
  readonly downtimes: Spans;
};

/** What a simulated time has brought. */
export type Year = {
  readonly runs: number;
  readonly refusals: readonly { readonly id: string; readonly why: Refusal }[];
  /** Pages that were asked for with an access token that had ended. */
  readonly endedAccessUsed: number;
  readonly authorizations: readonly Authorization[];
};

/** Lets a fleet live through days in virtual time, with the real flows and a store of its own; calls take no time. */
export async function live({
  fleet,
  weather,
  variant = (store) => store,
}: {
  readonly fleet: readonly Member[];
  readonly weather: Weather;
  readonly variant?: (store: Store) => Store;
}): Promise<Year> {
  const timeline = createTimeline(EPOCH_MS);
  const random = createRandom(weather.seed);
  const server = createAuthorizationServer();
  const { store } = createStoreModel({ now: timeline.now });
  const seen: Seen = { runs: 0, refusals: [], endedAccessUsed: 0 };
  const source = sourceOf({ timeline, random, server, weather, seen, fleet });
  const context = contextOf({ timeline, random, store: variant(store), source });
  for (const member of fleet) await accept({ member, server, context });
  for (const member of fleet) plan({ member, timeline, context, weather, random, seen });
  await timeline.runUntil(EPOCH_MS + weather.days * DAY_MS);
  const authorizations = await store.list({ after: null, limit: fleet.length });
  return { ...seen, authorizations };
}

type Seen = {
  runs: number;
  readonly refusals: { readonly id: string; readonly why: Refusal }[];
  endedAccessUsed: number;
};

function isWithin(spans: Spans, now: number): { readonly to: number } | undefined {
  return spans.find(({ from, to }) => now >= EPOCH_MS + from && now < EPOCH_MS + to);
}

function contextOf({
  timeline,
  random,
  store,
  source,
}: {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly store: Store;
  readonly source: Source;
}): Context {
  const { clock, stopping } = createProcess({ name: 'worker', timeline });
  return {
    store,
    clock,
    stopping,
    queue: queuePort({ model: createQueueModel(), clock }),
    vault: createVaultModel(),
    sources: { get: () => source, names: () => [SOURCE_NAME], close: async () => {} },
    gates: OPEN_GATES,
    suspects: createSuspects(),
    pulls: createPullPlaces({ count: 30 }),
    codec: PLAIN_CODEC,
    entropy: { random, id: createIds('id') },
    log: SILENT_LOG,
    metrics: NO_METRICS,
    cadence: { networks: {}, endpoints: {} },
    learner: NO_LEARNER,
    warnDays: [],
    purgeAlertMs: 300_000,
    owner: 'worker',
  };
}

function sourceOf({
  timeline,
  random,
  server,
  weather,
  seen,
  fleet,
}: {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly server: AuthorizationServer;
  readonly weather: Weather;
  readonly seen: Seen;
  readonly fleet: readonly Member[];
}): Source {
  const members = new Map(fleet.map((member) => [member.id, member]));
  const page = async ({ accessToken }: Parameters<Source['streamPage']>[0]): Promise<WholePage> => {
    const now = timeline.now();
    const accepted = server.accepts({ access: accessToken.reveal(), now });
    if (!accepted) seen.endedAccessUsed += 1;
    return isWithin(weather.outages, now) !== undefined
      ? { kind: 'unavailable', reason: 'connection' }
      : pageOf(accepted);
  };
  return {
    ...CONFIGURED,
    refresh: async ({ refreshToken }) => {
      const now = timeline.now();
      const away = isWithin(weather.outages, now);
      if (away !== undefined) return random() < 0.5 ? NOT_REACHED : statusOf(503, null);
      if (random() < THROTTLED_SHARE) return statusOf(429, CATCHING_UP_MS);
      const token = refreshToken.reveal();
      const id = server.ownerOf(token) ?? 'unknown';
      const verdict = server.refresh({ token, now });
      if (verdict.kind === 'refused') seen.refusals.push({ id, why: verdict.why });
      return replyOf({ verdict, tellsEnd: members.get(id)?.tellsEnd === true });
    },
    streamPage: async (request) => streamOf(await page(request)),
    introspect: async () => ({ kind: 'unknown' }),
    revoke: async () => 'unconfirmed',
  };
}

const NOT_REACHED: TokenReply = { kind: 'no_reply', reason: 'connection', sent: false };

function statusOf(status: number, retryAfterMs: number | null): TokenReply {
  return { kind: 'reply', status, oauthCode: null, grant: null, retryAfterMs };
}

/** Each run plans the next: its slot of the period, or sooner where it asks to be put back. */
function plan({
  member: { id: authorizationId, days },
  timeline,
  context,
  weather,
  random,
  seen,
}: {
  readonly member: Member;
  readonly timeline: Timeline;
  readonly context: Context;
  readonly weather: Weather;
  readonly random: Random;
  readonly seen: Seen;
}): void {
  const { signal } = new AbortController();
  const until = EPOCH_MS + days * DAY_MS;
  const next = async (afterMs: number | null): Promise<void> => {
    const authorization = await context.store.get(authorizationId);
    if (authorization?.state !== 'active' || authorization.periodMs === null) return;
    const slot = context.queue.nextRunAt({ authorizationId, periodMs: authorization.periodMs });
    const at = afterMs === null ? slot : Math.min(slot, timeline.now() + afterMs);
    if (at < until) timeline.at(at, run);
  };
  const run = (): void => {
    const down = isWithin(weather.downtimes, timeline.now());
    if (down !== undefined) {
      timeline.at(EPOCH_MS + down.to + random() * CATCHING_UP_MS, run);
      return;
    }
    seen.runs += 1;
    void refreshAndPull({ context, authorizationId, askedFor: false, signal }).then((outcome) =>
      next(outcome.kind === 'again' ? outcome.afterWallMs : null),
    );
  };
  timeline.at(EPOCH_MS + random() * MINUTE_MS, run);
}

async function accept({
  member: { id, terms, network, tellsEnd, pullEveryMs },
  server,
  context,
}: {
  readonly member: Member;
  readonly server: AuthorizationServer;
  readonly context: Context;
}): Promise<void> {
  const pair = server.grant({ id, terms, now: EPOCH_MS });
  const { accessLifetimeMs, refreshLifetimeMs } = terms;
  const key = await context.vault.create(id);
  const tokens = sealTokens({
    key,
    tokens: openPair(pair),
    version: 1,
    accessExpiresAt: EPOCH_MS + accessLifetimeMs,
    doubtAt: null,
    accessLifetimeMs,
    refreshExpiresAt: tellsEnd && refreshLifetimeMs !== null ? EPOCH_MS + refreshLifetimeMs : null,
  });
  const cadence = { ...NETWORK_POLICIES[network], ...(pullEveryMs === undefined ? {} : { pullEveryMs }) };
  const periodMs = periodOf({ cadence, accessLifetimeMs, refreshLifetimeMs: tellsEnd ? refreshLifetimeMs : null });
  const authorization: Authorization = {
    ...authorizationOf(id),
    network,
    periodMs,
    cadence: pullEveryMs === undefined ? {} : { pullEveryMs },
    ends: { ...NO_ENDS, accessGrant: terms.endsAt },
  };
  await context.store.insert({
    authorization,
    fingerprint: 'f',
    keyFingerprint: key.fingerprint(),
    tokens,
    actor: 'test',
  });
}
