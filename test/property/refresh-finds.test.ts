import { describe, expect, test } from 'vitest';
import { play } from '../support/model/fleet.ts';
import type { History } from '../support/model/history.ts';
import type { Plan } from '../support/model/plan.ts';
import { DAY_MS, live, type Member } from '../support/model/year.ts';

const MINUTE_MS = 60_000;

const CALM: Plan = {
  seed: 0,
  policy: 'strict',
  workers: 2,
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

/** A worker has its reply in memory and stands still until its lease is over. */
const frozenBeforeCommit = (forMs: number): Plan['hits'] => [
  { worker: 1, place: 'commitTokens', nth: 1, when: 'before', befall: { kind: 'freeze', forMs } },
];

/** How an authorization fares in a quiet month of 28 days. */
async function afterMonth(member: Pick<Member, 'pullEveryMs'> & Partial<Member['terms']>): Promise<string> {
  const { pullEveryMs, ...differences } = member;
  const terms = {
    policy: 'same_pair',
    accessLifetimeMs: 30 * DAY_MS,
    idleMs: null,
    refreshLifetimeMs: null,
    endsAt: null,
  } as const;
  const one = {
    id: 'one',
    network: 'CMS_9115',
    tellsEnd: true,
    days: 28,
    terms: { ...terms, ...differences },
  } as const;
  const fleet = [pullEveryMs === undefined ? one : { ...one, pullEveryMs }];
  const year = await live({ fleet, weather: { seed: 1, days: 28, outages: [], downtimes: [] } });
  return year.authorizations.map(({ state, stateReason }) => `${state} ${stateReason}`).join();
}

function endOf({ ends }: History): { readonly state: string; readonly reason: string } {
  const [end] = ends;
  if (end === undefined) throw new Error('no end');
  return { state: end.authorization.state, reason: end.authorization.stateReason };
}

/** Schedules that random search has found, shrunk, and what it cannot find because it lies beside the schedules. */
describe('what schedules have found', () => {
  test('a grant that a strict server revoked because we sent its token twice is lost as ambiguous, not as revoked', async () => {
    const history = await play({ ...CALM, hits: frozenBeforeCommit(7_754) });
    expect(endOf(history)).toEqual({ state: 'needs_reauthorization', reason: 'ambiguous_refresh' });
  });

  test('a pair in hand is held as long as its rival works: its server hangs, and the pair is the only one alive', async () => {
    const hanging = Array.from({ length: 4 }, () => 'lost_request' as const);
    const history = await play({ ...CALM, hits: frozenBeforeCommit(12_000), posts: ['none', ...hanging] });
    expect(endOf(history).state).toBe('active');
  });

  test('a source whose connections take longer than we may wait to send is told as away', async () => {
    const plan = { ...CALM, rounds: 3, authorizations: 2, connectMinMs: 4_500, connectMaxMs: 6_000 };
    const history = await play(plan);
    expect(history.events.map(({ kind }) => kind)).toContain('source_outage');
  });

  test('a pair in doubt is not spent by a worker whose clock is ahead: a request that is still on its way would find its token replaced twice', async () => {
    const history = await play({
      ...CALM,
      seed: 1_553_639_707,
      policy: 'new_pair',
      workers: 5,
      rounds: 2,
      callers: 1,
      hits: [{ worker: 1, place: 'takeLease', nth: 3, when: 'before', befall: { kind: 'crash' } }],
      jolts: [{ worker: 2, atMs: 0, befall: { kind: 'clock', byMs: 3_600_000 } }],
      posts: ['slow'],
    });
    expect(endOf(history).state).toBe('active');
  });

  test('a token that was never put on the wire is in no doubt', async () => {
    const history = await play({ ...CALM, connectMinMs: 4_500, connectMaxMs: 6_000 });
    expect(history.posts.map(({ unsure }) => unsure)).toEqual([false]);
  });

  test('a token is used once a day at least, also where records are pulled once a week', async () => {
    expect(await afterMonth({ pullEveryMs: 7 * DAY_MS, idleMs: 3 * DAY_MS })).toBe('active accepted');
  });

  test('a doubt outlives the pair that was born in it: the first request reaches a strict server after the second', async () => {
    const hits = [{ worker: 1, place: 'renewLease', nth: 1, when: 'before', befall: { kind: 'crash' } }] as const;
    const history = await play({ ...CALM, hits, posts: ['slow'] });
    expect(endOf(history)).toEqual({ state: 'needs_reauthorization', reason: 'ambiguous_refresh' });
  });

  test('a doubt outlives the clock of the worker that has it: set back by an hour, it would have faded for all others at once', async () => {
    const freeze = (forMs: number) => ({ kind: 'freeze', forMs }) as const;
    const history = await play({
      ...CALM,
      seed: 1_064_881_616,
      hits: [
        { worker: 0, place: 'releaseLease', nth: 2, when: 'after', befall: freeze(19_691) },
        { worker: 0, place: 'openIntent', nth: 1, when: 'before', befall: { kind: 'stop' } },
      ],
      jolts: [
        { worker: 1, atMs: 22_899, befall: freeze(23_723) },
        { worker: 1, atMs: 7_904, befall: { kind: 'clock', byMs: -60 * MINUTE_MS } },
      ],
      posts: ['lost_request', 'slow', 'lost_reply', 'reset_after', 'error_after'],
      connectMaxMs: 9_000,
    });
    expect(endOf(history)).toEqual({ state: 'needs_reauthorization', reason: 'ambiguous_refresh' });
  });

  test('a clock that is set while its worker renews a lease takes no lease away: another would send the token that is still on its way', async () => {
    const history = await play({
      ...CALM,
      seed: 2_106_935_532,
      workers: 5,
      authorizations: 2,
      rounds: 2,
      jolts: [{ worker: 2, atMs: 2_040, befall: { kind: 'clock', byMs: 60 * MINUTE_MS } }],
      posts: ['slow', 'error_after'],
      deadlineFirst: true,
    });
    expect(endOf(history).state).toBe('active');
  });

  test('a doubt outlives a pair that came in late while its rival had no verdict', async () => {
    const history = await play({ ...CALM, hits: frozenBeforeCommit(9_000), posts: ['none', 'error_after', 'refused'] });
    expect(endOf(history)).toEqual({ state: 'needs_reauthorization', reason: 'ambiguous_refresh' });
  });

  test('a worker whose clock is an hour fast ends no authorization whose refresh token lives for half an hour', async () => {
    const befall = { kind: 'clock', byMs: 60 * MINUTE_MS } as const;
    const jolts = [{ worker: 1, atMs: 30_000, befall }];
    const plan = { ...CALM, policy: 'same_pair', rounds: 2, refreshLifetimeMs: 30 * MINUTE_MS, jolts } as const;
    expect(endOf(await play(plan)).state).toBe('active');
  });

  test('a token is used before its end, also where the access token lives longer than it', async () => {
    const refreshLifetimeMs = 30 * MINUTE_MS;
    expect(await afterMonth({ accessLifetimeMs: 60 * MINUTE_MS, refreshLifetimeMs })).toBe('active accepted');
  });
});
