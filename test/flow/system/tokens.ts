import { expect, test } from 'vitest';
import type { AuthorizationRequest } from '../../../src/contract/wire.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import { accept } from '../../../src/flows/accept.ts';
import type { Context } from '../../../src/flows/context.ts';
import { refreshAndPull } from '../../../src/flows/refresh-and-pull.ts';
import { QUIET_QUEUE } from '../../support/quiet-queue.ts';
import { until } from '../../support/system-until.ts';
import { HOUR_MS, MINUTE_MS, requestOf, type World } from '../../support/world.ts';
import type { Stage } from '../system.contract.ts';

const CALLS_AT_ONCE = 10;
const GRACE = { refreshGraceMs: 12 * HOUR_MS } as const;

/** Handed-over tokens of a day, half an hour before their end (three seconds here): less than the lead, so the first run has to refresh. */
export function nearlyOver(world: World): Pick<AuthorizationRequest, 'expiresIn' | 'issuedAt'> {
  return { expiresIn: 86_400, issuedAt: new Date(world.clock.now() - 23.5 * HOUR_MS).toISOString() };
}

/** Refresh tokens: spent once, never lost without a word. */
export function neverLosesATokenSilently(stage: () => Stage): void {
  test(`${CALLS_AT_ONCE} runs of one authorization at once send exactly one refresh`, async () => {
    const { row, alive } = await refreshTogether({ stage: stage(), id: 'single-flight' });
    expect(row).toMatchObject({ refreshes: 1, reusedRefreshTokens: 0, refusedRefreshTokens: 0 });
    expect(alive).toBe(true);
  });

  test('control: with a lease that everybody gets, the same runs send more than one refresh', async () => {
    const { row } = await refreshTogether({ stage: stage(), id: 'single-flight-control', change: sharedLease });
    expect(row.refreshes + row.reusedRefreshTokens).toBeGreaterThan(1);
  });

  test.each(['grace-same', 'grace-new'] as const)(
    'a lost refresh reply costs nothing where the source grants %s',
    async (policy) => {
      const { system, world } = stage();
      const knobs = { lostReplies: 1, oldRefreshToken: policy, ...GRACE } as const;
      const link = await world.link({ exchanged: true, knobs });
      const id = `lost-${policy}`;
      await system.accept(requestOf(link, { id, ...nearlyOver(world) }));
      const view = await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
      expect(view.state).toBe('active');
      expect(await world.row(link.authorizationId)).toMatchObject({
        alive: true,
        lostReplies: 1,
        reusedRefreshTokens: 1,
      });
      expect(await system.context.store.intent(id)).toBeNull();
      expect((await system.tokens(id)).refreshToken?.reveal()).not.toBe(link.token?.refresh_token);
    },
  );

  test.each(['strict', 'family-revoke'] as const)(
    'a lost refresh reply at a source that is %s is announced as ambiguous',
    async (policy) => {
      const { system, world } = stage();
      const link = await world.link({ exchanged: true, knobs: { lostReplies: 1, oldRefreshToken: policy } });
      const id = `lost-${policy}`;
      await system.accept(requestOf(link, { id, ...nearlyOver(world) }));
      const view = await system.reaches(id, 'stopped', ({ state }) => state !== 'active');
      expect(view).toMatchObject({ state: 'needs_reauthorization', why: 'ambiguous_refresh', nextRunAt: null });
      expect(await world.row(link.authorizationId)).toMatchObject({ refreshes: 1, lostReplies: 1 });
      await expectStopped(stage(), id);
      const audit = await system.context.store.auditOf(id);
      expect(audit.map(({ reason }) => reason)).toContain('ambiguous_refresh');
    },
  );

  test('a refresh token that the source refuses out of the blue counts as revoked, not as ambiguous', async () => {
    const { system, world } = stage();
    const link = await world.link({ exchanged: true });
    const id = 'refused-refresh';
    const request = requestOf(link, { id, ...nearlyOver(world), refreshToken: 'never-issued' });
    await system.accept(request);
    const view = await system.reaches(id, 'stopped', ({ state }) => state !== 'active');
    expect(view).toMatchObject({ state: 'needs_reauthorization', why: 'revoked' });
    await expectStopped(stage(), id);
  });

  test('what a crash left behind of a token that is dead is tidied, and not swept for ever', async () => {
    const { system, world } = stage();
    const { store } = system.context;
    const link = await world.link({ exchanged: true });
    const id = 'dead-with-intent';
    await system.accept(requestOf(link, { id, ...nearlyOver(world), refreshToken: 'never-issued' }));
    await system.reaches(id, 'stopped', ({ state }) => state !== 'active');
    const owner = 'a worker that dies';
    const fence = await until(
      'the lease is free',
      () => store.takeLease({ authorizationId: id, owner, leaseMs: HOUR_MS }),
      (taken) => taken !== null,
    );
    if (fence === null) throw new Error('no fence');
    const attempt = {
      kind: 'refresh',
      attemptId: 'left',
      tokenVersion: 1,
      startedAt: 0,
      unsure: false,
      parked: false,
      unclearSince: null,
    } as const;
    await store.openIntent({
      ...fence,
      intent: { authorizationId: id, ...attempt },
      lease: { owner, leaseMs: HOUR_MS },
    });
    await store.releaseLease({ ...fence, owner });
    await until(
      'no intent is left',
      () => store.intent(id),
      (intent) => intent === null,
    );
    expect(await system.status(id)).toMatchObject({ state: 'needs_reauthorization', why: 'revoked' });
  });

  test('a public token that the source refuses is announced, and not offered for ever', async () => {
    const { system, world } = stage();
    const id = 'spent-public';
    await system.accept({ ...requestOf(await world.link({}), { id }), publicToken: 'spent-elsewhere' });
    const view = await system.reaches(id, 'stopped', ({ state }) => state !== 'pending');
    expect(view).toMatchObject({ state: 'needs_reauthorization', why: 'exchange_refused', nextRunAt: null });
    await expectStopped(stage(), id);
  });

  test('a refresh reply without a refresh token keeps the old one, and it serves again', async () => {
    const { system, world } = stage();
    const link = await world.link({
      exchanged: true,
      knobs: { refreshReplyHasRefreshToken: false, accessTokenMs: 30 * MINUTE_MS },
    });
    const id = 'kept-refresh-token';
    await system.accept(requestOf(link, { id, ...nearlyOver(world), cadence: { pullEverySeconds: 25 * 60 } }));
    await until(
      'two refreshes',
      () => world.row(link.authorizationId),
      ({ refreshes }) => refreshes >= 2,
    );
    const tokens = await system.tokens(id);
    expect(tokens.refreshToken?.reveal()).toBe(link.token?.refresh_token);
    expect(tokens.accessToken?.reveal()).not.toBe(link.token?.access_token);
    expect(await system.status(id)).toMatchObject({ state: 'active' });
    expect((await system.context.store.tokens(id))?.refreshExpiresAt).not.toBeNull();
  });

  test('an access token that ends in mid-pull is refreshed inside the pull', async () => {
    const { system, world } = stage();
    const knobs = { accessTokenMs: 20 * MINUTE_MS, slowFhirMs: 5 * MINUTE_MS, everythingPageSize: 4 } as const;
    const link = await world.link({ exchanged: true, knobs });
    const id = 'ends-in-mid-pull';
    await system.accept(requestOf(link, { id }));
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull !== null);
    expect(await system.status(id)).toMatchObject({ state: 'active', lastPull: { result: 'complete' }, failedRuns: 0 });
    expect(await system.records(id)).toEqual(await world.records(link.patient));
    const row = await world.row(link.authorizationId);
    expect(row).toMatchObject({ alive: true, reusedRefreshTokens: 0 });
    expect(row.refreshes).toBeGreaterThanOrEqual(1);
  });

  test('an access token that the source drops early, in mid-pull, is refreshed inside the pull', async () => {
    const { system, world } = stage();
    const knobs = { accessTokenMs: 15 * MINUTE_MS, slowFhirMs: 5 * MINUTE_MS, everythingPageSize: 4 } as const;
    const link = await world.link({ exchanged: true, knobs });
    const id = 'dropped-in-mid-pull';
    // Only the token that is handed over ends early; what a refresh brings lasts.
    await world.turn(link.authorizationId, { accessTokenMs: 24 * HOUR_MS });
    await system.accept(requestOf(link, { id, expiresIn: 86_400 }));
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull !== null);
    expect(await system.status(id)).toMatchObject({ state: 'active', lastPull: { result: 'complete' }, failedRuns: 0 });
    expect(await system.records(id)).toEqual(await world.records(link.patient));
    expect(await world.row(link.authorizationId)).toMatchObject({ alive: true, refreshes: 1, reusedRefreshTokens: 0 });
    const answers = world.seen.filter(({ authorizationId }) => authorizationId === link.authorizationId);
    expect(
      answers.filter(({ status }) => status === 401),
      'the source did drop it',
    ).toHaveLength(1);
  });

  test('a patient’s revocation stops the authorization as revoked, and the source hears no more of it', async () => {
    const { system, world } = stage();
    const often = { pullEverySeconds: 600 };
    const link = await world.link({});
    const witness = await world.link({});
    const id = 'revoked-by-patient';
    await system.accept(requestOf(link, { id, cadence: often }));
    await system.accept(requestOf(witness, { id: 'revoked-witness', cadence: often }));
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    await world.revoke(link.authorizationId);
    const view = await system.reaches(id, 'stopped', ({ state }) => state !== 'active');
    expect(view).toMatchObject({ state: 'needs_reauthorization', why: 'revoked', nextRunAt: null });
    const told = await world.row(link.authorizationId);
    for (let period = 0; period < 3; period += 1) await system.pulledAgain('revoked-witness');
    expect(await world.row(link.authorizationId)).toEqual(told);
    await expectStopped(stage(), id);
    expect(await system.records(id), 'the data follows the retention rule').not.toEqual([]);
    await system.purge('revoked-witness');
  });

  test('a source that refuses our client is suspended, and no patient’s state changes', async () => {
    const { system, world } = stage();
    const knobs = { invalidClient: true } as const;
    const links = [await world.link({ exchanged: true, knobs }), await world.link({ exchanged: true, knobs })];
    const pending = await world.link({ knobs });
    const other = await world.link({ exchanged: true });
    const ids = ['refuses-us-1', 'refuses-us-2'];
    const source = 'refusing';
    for (const [index, link] of links.entries()) {
      await system.accept(requestOf(link, { id: ids[index] ?? '', source, ...nearlyOver(world) }));
    }
    await system.accept(requestOf(pending, { id: 'refuses-us-pending', source }));
    await system.accept(requestOf(other, { id: 'refuses-nobody', ...nearlyOver(world) }));
    await until(
      'the source is suspended',
      () => system.context.store.sourceStates(),
      (all) => all.some((state) => state.source === source && state.condition === 'suspended'),
    );
    for (const id of ids) {
      expect(await system.reaches(id, 'waits', ({ lastError }) => lastError === 'source_refused_us')).toMatchObject({
        state: 'active',
      });
    }
    expect(await system.reaches('refuses-us-pending', 'waits', ({ lastError }) => lastError !== null)).toMatchObject({
      state: 'pending',
    });
    expect(await system.reaches('refuses-nobody', 'pulled', ({ lastPull }) => lastPull !== null)).toMatchObject({
      state: 'active',
    });
    for (const link of [...links, pending]) await world.turn(link.authorizationId, { invalidClient: false });
    await system.context.store.probeSources();
    for (const id of [...ids, 'refuses-us-pending']) {
      const view = await system.reaches(
        id,
        'refreshed and pulled',
        ({ lastPull, lastError }) => lastPull?.result === 'complete' && lastError === null,
      );
      expect(view).toMatchObject({ state: 'active', failedRuns: 0, trouble: null });
    }
  });
}

/** Nothing is planned for it any more. */
async function expectStopped({ system }: Stage, id: string): Promise<void> {
  expect(await system.status(id)).toMatchObject({ nextRunAt: null });
  await until(
    'no intent is left',
    () => system.context.store.intent(id),
    (intent) => intent === null,
  );
  await until(
    'the repeating job is gone',
    () => system.context.queue.isScheduled(id),
    (scheduled) => !scheduled,
  );
  await until(
    `no job of ${id} is left`,
    () => system.jobsOf(id),
    (jobs) => jobs.length === 0,
  );
}

/** Accepts behind the queue's back and runs one authorization many times at once. */
async function refreshTogether({
  stage: { system, world },
  id,
  change = (context) => context,
}: {
  readonly stage: Stage;
  readonly id: string;
  readonly change?: (context: Context) => Context;
}) {
  const link = await world.link({ exchanged: true, knobs: { slowTokenMs: MINUTE_MS } });
  const quiet = { ...system.context, queue: { ...system.context.queue, ...QUIET_QUEUE } };
  await accept({ context: quiet, request: requestOf(link, { id, ...nearlyOver(world) }), actor: 'test' });
  const context = change(quiet);
  const signal = new AbortController().signal;
  const run = () => refreshAndPull({ context, authorizationId: id, askedFor: false, signal });
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, run));
  const row = await world.row(link.authorizationId);
  return { row, alive: row.alive && (await system.status(id)).state === 'active' };
}

/** A broken lock: the first one's lease is everybody's. */
function sharedLease(context: Context): Context {
  let shared: ReturnType<Store['takeLease']> | null = null;
  const takeLease: Store['takeLease'] = (lease) => {
    shared ??= context.store.takeLease(lease);
    return shared;
  };
  return { ...context, store: { ...context.store, takeLease, releaseLease: async () => undefined } };
}
