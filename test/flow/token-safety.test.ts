import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runSweeper } from '../../jobs/sweeper.ts';
import { readEnvironment } from '../../src/config.ts';
import type { AuthorizationRequest } from '../../src/contract/wire.ts';
import { PerennialError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import type { CommitResult, Intent } from '../../src/core/ports/store.ts';
import type { Source } from '../../src/core/ports/upstream.ts';
import type { TokenReply } from '../../src/core/token-outcome.ts';
import { accept } from '../../src/flows/accept.ts';
import type { Context } from '../../src/flows/context.ts';
import { withLease } from '../../src/flows/lease.ts';
import { recover } from '../../src/flows/recover.ts';
import { refreshAndPull } from '../../src/flows/refresh-and-pull.ts';
import { createService } from '../../src/flows/serve.ts';
import { type Composition, compose } from '../../src/main/compose.ts';
import type { Knobs } from '../../src/sandbox/knobs.ts';
import { QUIET_QUEUE } from '../support/quiet-queue.ts';
import { bestPlace, type Place } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { HOUR_MS, type Link, requestOf, sourcesOf, startWorld, type World } from '../support/world.ts';
import { nearlyOver } from './system/tokens.ts';

const { signal } = new AbortController();
const REFUSED: TokenReply = { kind: 'reply', status: 400, oauthCode: 'invalid_grant', grant: null, retryAfterMs: null };
const WITHHELD: TokenReply = { kind: 'no_reply', reason: 'withheld', sent: false };
const THROTTLED: TokenReply = {
  kind: 'reply',
  status: 429,
  oauthCode: null,
  grant: null,
  retryAfterMs: 6 * HOUR_MS,
};

let world: World;
let place: Place;
let house: Composition;

beforeAll(async () => {
  world = await startWorld();
  place = await bestPlace();
  house = await compose(
    readEnvironment({
      ...place.settings,
      ...world.rate,
      ENCRYPTION_KEYS: `test:${randomBytes(32).toString('base64')}`,
      SOURCES: sourcesOf(world),
      LOG_LEVEL: 'silent',
    }),
  );
});

afterAll(async () => {
  await house.close();
  await world.close();
  await place.close();
});

describe('a granted pair whose lease was lost', () => {
  test('is stored although the store is away at the first look, and is not dropped', async () => {
    const { id } = await accepted('rescued-after-a-blip');
    let blips = 0;
    const blinking = quiet({
      commitTokens: once(house.context.store.commitTokens, async (): Promise<CommitResult> => {
        await house.context.store.seizeLease({ authorizationId: id, owner: 'another', leaseMs: 1 });
        return 'superseded';
      }),
      takeLease: async (lease) => {
        if (lease.authorizationId === id && blips === 1) {
          blips += 1;
          throw new PerennialError('database_unreachable');
        }
        blips += 1;
        return house.context.store.takeLease(lease);
      },
    });
    await run(id, blinking);
    expect((await house.context.store.tokens(id))?.version).toBe(2);
    expect(await status(id)).toMatchObject({ state: 'active', trouble: null });
  });

  test('is dropped and given back to the source when the authorization is being purged', async () => {
    const { id, link } = await accepted('dropped-by-purge');
    const purging = quiet({
      commitTokens: once(house.context.store.commitTokens, async (): Promise<CommitResult> => {
        await createService(quiet()).requestPurge({ id, actor: 'test' });
        return 'superseded';
      }),
    });
    await run(id, purging);
    expect(await status(id)).toMatchObject({ state: 'purging' });
    expect(await world.row(link.authorizationId)).toMatchObject({ refreshes: 1, alive: false });
  });
});

describe('a request that is never put on the wire', () => {
  test('counts as an outage, leaves no doubt about the token, and a later refusal is the patient’s', async () => {
    const { id } = await accepted('withheld');
    await run(
      id,
      answering(() => WITHHELD),
    );
    expect(await status(id)).toMatchObject({ state: 'active', trouble: { kind: 'outage' } });
    expect(await house.context.store.intent(id)).toBeNull();
    await waitIsOver(id);
    await run(
      id,
      answering(() => REFUSED),
    );
    expect(await status(id)).toMatchObject({ state: 'needs_reauthorization', why: 'revoked' });
  });
});

describe('an attempt that a crash left open', () => {
  test('keeps its doubt while its source is suspended', async () => {
    const { id } = await accepted('orphan-suspended', { source: 'refusing' });
    const { store, clock } = house.context;
    await leaveOpen(id);
    await store.noteSource({ source: 'refusing', condition: 'suspended', at: clock.now() });
    await recover({ context: quiet(), authorizationId: id, signal });
    expect(await store.intent(id)).toMatchObject({ parked: true, unsure: true });
    await store.clearSource({ source: 'refusing', at: clock.now() });
    await waitIsOver(id);
    await run(
      id,
      answering(() => REFUSED),
    );
    expect(await status(id)).toMatchObject({ state: 'needs_reauthorization', why: 'ambiguous_refresh' });
  });

  test('is finished within seconds beside another whose token endpoint hangs', async () => {
    const hanging = await accepted('orphan-hanging', { source: 'searching' });
    const { promise: never, resolve: letGo } = Promise.withResolvers<TokenReply>();
    const context = withSource(quiet(), (source) =>
      source.name === 'searching' ? { ...source, refresh: () => never } : source,
    );
    const stop = new AbortController();
    await leaveOpen(hanging.id);
    const sweeping = runSweeper({ context, signal: stop.signal, caughtUp: Promise.resolve() });
    await until(
      'the hanging one is taken up',
      () => house.context.store.intent(hanging.id),
      (intent) => intent?.attemptId !== 'left-open',
    );
    const healthy = await accepted('orphan-healthy');
    await leaveOpen(healthy.id);
    const since = house.context.clock.stopwatch();
    await until(
      'the healthy one is finished',
      () => house.context.store.intent(healthy.id),
      (intent) => intent === null,
    );
    expect(since()).toBeLessThan(LIMITS.tokenRequestTimeoutMs);
    letGo(REFUSED);
    stop.abort();
    await sweeping;
  });
});

describe('what a source asks us to wait', () => {
  test('binds callers for a token too: five calls make one request', async () => {
    const { id } = await accepted('told-to-wait', { over: true });
    let posts = 0;
    const context = answering(() => {
      posts += 1;
      return THROTTLED;
    });
    for (let call = 0; call < 5; call += 1) {
      const asked = createService(context).token({ id, actor: 'test' });
      await expect(asked).rejects.toMatchObject({ code: 'upstream_throttled' });
    }
    await run(id, context);
    expect(posts).toBe(1);
    expect(await status(id)).toMatchObject({ state: 'active', trouble: { kind: 'throttled' } });
  });

  test('does not keep a token in hand from a caller', async () => {
    const { id, link } = await accepted('waits-with-a-token');
    const handed = await createService(answering(() => THROTTLED)).token({ id, actor: 'test' });
    expect(handed.accessToken).toBe(link.token?.access_token);
  });

  test('ends an asked-for pull that was made meanwhile: the retry is an ordinary run', async () => {
    const { id } = await accepted('asked-once');
    const context = answering(() => THROTTLED);
    const outcome = await refreshAndPull({ context, authorizationId: id, askedFor: true, signal });
    expect(await status(id)).toMatchObject({ lastPull: { result: 'complete' } });
    if (outcome.kind === 'again') expect(outcome.asDue).toBe(true);
    else expect(outcome.kind).toBe('done');
  });
});

describe('a source that answers 404 to everything', () => {
  test('is believed when it says that the token lives: no refresh token is spent to find out', async () => {
    const knobs: Partial<Knobs> = { refusedTypes: ['Patient'], refusedStatus: 404 };
    const { id, link } = await accepted('nothing-there', { source: 'patients', knobs, fresh: true });
    await run(id);
    expect(await status(id)).toMatchObject({ state: 'active', lastError: 'type_refused' });
    expect(await world.row(link.authorizationId)).toMatchObject({ refreshes: 0 });
  });
});

test('no token is handed out after the consent has ended, swept or not', async () => {
  const consentEndsAt = new Date(world.clock.now() + HOUR_MS / 60).toISOString();
  const { id } = await accepted('ended-consent', { consentEndsAt });
  await until(
    'the consent is over',
    async () => world.clock.now(),
    (now) => now > Date.parse(consentEndsAt),
  );
  const asked = createService(quiet()).token({ id, actor: 'test' });
  await expect(asked).rejects.toMatchObject({ code: 'authorization_dead' });
});

/** Accepts one behind the queue's back whose access token ends within the lead, so that a run has to refresh it. */
async function accepted(
  id: string,
  {
    source = 'sandbox',
    knobs = {},
    fresh = false,
    over = false,
    consentEndsAt,
  }: {
    readonly source?: string;
    readonly knobs?: Partial<Knobs>;
    readonly fresh?: boolean;
    readonly over?: boolean;
    readonly consentEndsAt?: string;
  } = {},
): Promise<{ readonly id: string; readonly link: Link }> {
  const link = await world.link({ exchanged: true, knobs });
  const issuedAt = new Date(world.clock.now() - 24 * HOUR_MS + HOUR_MS / 60).toISOString();
  const request: AuthorizationRequest = {
    ...requestOf(link, { id }),
    source,
    ...(fresh ? {} : nearlyOver(world)),
    ...(over ? { issuedAt } : {}),
    ...(consentEndsAt === undefined ? {} : { consentEndsAt }),
  };
  await accept({ context: quiet(), request, actor: 'test' });
  if (over) {
    await until(
      'the access token is over',
      async () => world.clock.now(),
      (now) => now > Date.parse(issuedAt) + 24 * HOUR_MS,
    );
  }
  return { id, link };
}

/** The same house with a queue that does nothing: what happens is what the test does. */
function quiet(store: Partial<Context['store']> = {}): Context {
  const { context } = house;
  return { ...context, store: { ...context.store, ...store }, queue: { ...context.queue, ...QUIET_QUEUE } };
}

function withSource(context: Context, change: (source: Source) => Source): Context {
  const get: Context['sources']['get'] = (name) => {
    const source = context.sources.get(name);
    return source === undefined ? undefined : change(source);
  };
  return { ...context, sources: { ...context.sources, get } };
}

function answering(reply: () => TokenReply): Context {
  return withSource(quiet(), (source) => ({ ...source, refresh: async () => reply() }));
}

function once<V, R>(real: (value: V) => Promise<R>, first: () => Promise<R>): (value: V) => Promise<R> {
  let calls = 0;
  return (value) => {
    calls += 1;
    return calls === 1 ? first() : real(value);
  };
}

async function run(id: string, context: Context = quiet()): Promise<void> {
  await refreshAndPull({ context, authorizationId: id, askedFor: false, signal });
}

const status = (id: string) => createService(quiet()).status(id);

/** As a worker leaves it that dies between its intent and the answer. */
async function leaveOpen(authorizationId: string): Promise<void> {
  const { store, clock } = house.context;
  const tokens = await store.tokens(authorizationId);
  const intent: Intent = {
    authorizationId,
    kind: 'refresh',
    attemptId: 'left-open',
    tokenVersion: tokens?.version ?? 1,
    startedAt: clock.now(),
    unsure: false,
    parked: false,
    unclearSince: null,
  };
  const lease = { owner: 'dies', leaseMs: LIMITS.leaseMs };
  const fence = await store.seizeLease({ authorizationId, ...lease });
  await store.openIntent({ ...fence, intent, lease });
  await store.releaseLease({ ...fence, owner: 'dies' });
}

/** Lets the wait that the last failure set be over. */
async function waitIsOver(authorizationId: string): Promise<void> {
  await withLease({ context: quiet(), authorizationId, signal }, async ({ fence }) => {
    const trouble = (await house.context.store.get(authorizationId))?.trouble ?? null;
    const until = trouble?.since ?? 0;
    const patch = { trouble: trouble === null ? null : { ...trouble, until }, nextRunAt: null };
    await house.context.store.update({ ...fence, patch, actor: 'test' });
  });
}
