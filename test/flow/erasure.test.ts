import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PerennialError } from '../../src/core/errors.ts';
import { LIMITS, UNITS } from '../../src/core/limits.ts';
import type { Fence } from '../../src/core/ports/store.ts';
import { accept } from '../../src/flows/accept.ts';
import type { Context } from '../../src/flows/context.ts';
import { fetchOnce } from '../../src/flows/fetch-once.ts';
import { purge } from '../../src/flows/purge.ts';
import { refreshAndPull } from '../../src/flows/refresh-and-pull.ts';
import { createService } from '../../src/flows/serve.ts';
import { withSource } from '../fault/kill/window.ts';
import { type House, later, misled, openHouse, sweepOnce } from '../support/house.ts';
import { bestPlace, type Place } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { type Link, requestOf, startWorld, type World } from '../support/world.ts';

const { DAY_MS, HOUR_MS } = UNITS;
const RETAINED_DAYS = 30;
const signal = new AbortController().signal;

let world: World;
let place: Place;
let house: House;
let context: Context;

beforeAll(async () => {
  world = await startWorld({ speed: 1 });
  place = await bestPlace();
  const keys = { kind: 'flexpa', baseUrl: world.url, publishableKey: 'pk_test_sandbox', secretKey: 'sk_test_sandbox' };
  const sources = JSON.stringify({
    sandbox: keys,
    retaining: { ...keys, retention: { purgeAfterDays: RETAINED_DAYS } },
    deaf: { ...keys, secretKey: 'sk_test_wrong' },
    plain: { ...keys, expungePath: null },
  });
  house = await openHouse({ place, world, sources });
  context = house.context;
});
afterAll(async () => {
  await house?.close();
  await world?.close();
  await place?.close();
});

type Change = Omit<Parameters<typeof requestOf>[1], 'id'>;

async function accepted(id: string, { link, ...change }: Change & { readonly link?: Link } = {}): Promise<Link> {
  const given = link ?? (await world.link({ usage: change.usage ?? 'MULTIPLE', exchanged: true, size: 2 }));
  await accept({ context, request: requestOf(given, { id, ...change }), actor: 'test' });
  return given;
}

async function fetchedOnce(id: string, change: Change = {}): Promise<Link> {
  const link = await accepted(id, { usage: 'ONE_TIME', ...change });
  expect(await fetchOnce({ context, authorizationId: id, signal })).toMatchObject({ kind: 'done', reason: 'fetched' });
  return link;
}

const requestsOf = ({ authorizationId }: Link) => world.seen.filter((one) => one.authorizationId === authorizationId);

async function lineOf(where: Context, id: string): Promise<string> {
  const authorization = await where.store.get(id);
  return `${authorization?.state} (${authorization?.stateReason})`;
}

/** Every door that gives anything of the patient's. */
async function expectRefused(where: Context, id: string): Promise<void> {
  const service = createService(where);
  const reader = { id, actor: 'test' };
  const ended = { code: 'authorization_ended' };
  await expect(service.records(reader)).rejects.toMatchObject(ended);
  await expect(service.types(reader)).rejects.toMatchObject(ended);
  await expect(service.changes({ ...reader, after: 0, limit: 1 })).rejects.toMatchObject(ended);
  await expect(service.token(reader)).rejects.toMatchObject(ended);
}

async function expectPurged(where: Context, id: string, receipt: object): Promise<void> {
  expect(await lineOf(where, id)).toContain('purged');
  expect(await where.store.receipt(id)).toMatchObject({
    ...receipt,
    findings: { key: 'gone', tokens: 'gone', records: 'gone', queue: 'gone' },
  });
  expect(await where.vault.has(id)).toBe(false);
  expect(await where.store.leftOf(id)).toEqual({ tokens: 0, records: 0 });
  expect(await where.queue.traces(id)).toBe(0);
}

describe('the deadline', () => {
  test('is in the store with the acceptance itself, before the queue hears of it and before any token is used', async () => {
    const refused = async (): Promise<never> => Promise.reject(new Error('the queue is away'));
    const link = await world.link({ usage: 'ONE_TIME', exchanged: true });
    const without = { ...context, queue: { ...context.queue, add: refused, schedule: refused } };
    const id = 'deadline-first';
    await accept({ context: without, request: requestOf(link, { id, usage: 'ONE_TIME' }), actor: 'test' });
    const { purgeDueAt, purgeReason } = (await context.store.get(id)) ?? {};
    expect(purgeDueAt).toBe((await context.store.tokens(id))?.accessExpiresAt);
    expect(purgeReason).toBe('one_time_expired');
    expect(requestsOf(link)).toEqual([]);
  });

  test('two days without a worker: no door answers meanwhile, and the first sweep purges', async () => {
    const id = 'two-days';
    await fetchedOnce(id);
    expect(await house.service.records({ id, actor: 'test' })).toBeDefined();
    const afterwards = later(context, 2 * DAY_MS);
    await expectRefused(afterwards, id);
    expect(await createService(afterwards).status(id)).toMatchObject({
      state: 'active',
      purgeReason: 'one_time_expired',
    });
    await sweepOnce(afterwards);
    await expectPurged(afterwards, id, { reason: 'one_time_expired', upstream: 'not_asked' });
    await expectRefused(afterwards, id);
  });

  test('a clock that jumps an hour forth and back purges nobody early and nobody late', async () => {
    const id = 'jumping';
    await fetchedOnce(id);
    const due = (await context.store.get(id))?.purgeDueAt ?? Number.NaN;
    const toDue = due - context.clock.now();
    const early = later(context, toDue - HOUR_MS / 2);
    await sweepOnce(misled(early, HOUR_MS));
    expect(await lineOf(context, id), 'the store knows better').toBe('active (accepted)');
    expect(await purge({ context: misled(early, HOUR_MS), authorizationId: id, signal })).toMatchObject({
      kind: 'again',
      reason: 'not_due',
    });
    expect(await createService(early).records({ id, actor: 'test' })).toBeDefined();
    await sweepOnce(misled(early, -HOUR_MS));
    expect(await lineOf(context, id)).toBe('active (accepted)');
    const now = later(context, toDue + 1);
    await sweepOnce(now);
    await expectPurged(now, id, { dueAt: due });
  });

  test('a purge wins over a fetch in mid-page: its worker is told within a renewal, and what it still brings is written nowhere', async () => {
    const id = 'mid-page';
    // Slow enough to be met in its middle, before it is slowed down for good.
    const knobs = { everythingPageSize: 3, slowFhirMs: 500 };
    const link = await world.link({ usage: 'ONE_TIME', exchanged: true, knobs });
    await accepted(id, { usage: 'ONE_TIME', link });
    const fences: Fence[] = [];
    const takeLease: Context['store']['takeLease'] = async (wanted) => {
      const fence = await context.store.takeLease(wanted);
      if (fence !== null) fences.push(fence);
      return fence;
    };
    const fetcher = { ...context, store: { ...context.store, takeLease } };
    const fetching = fetchOnce({ context: fetcher, authorizationId: id, signal });
    await until(
      'pages come',
      () => requestsOf(link),
      (seen) => seen.some(({ endedAt }) => endedAt !== null),
    );
    await world.turn(link.authorizationId, { slowFhirMs: 60_000 });
    await until(
      'a slow page',
      () => requestsOf(link),
      (seen) => seen.at(-1)?.endedAt === null,
    );
    const now = later(context, DAY_MS + HOUR_MS);
    const polite = {
      ...now,
      store: { ...now.store, seizeLease: () => Promise.reject(new PerennialError('lease_taken')) },
    };
    expect(
      await purge({ context: polite, authorizationId: id, signal }),
      'control: one that waits its turn',
    ).toMatchObject({
      kind: 'again',
    });
    expect(await context.store.leftOf(id)).not.toEqual({ tokens: 0, records: 0 });
    const seizedAt = performance.now();
    expect(await purge({ context: now, authorizationId: id, signal })).toMatchObject({ kind: 'done' });
    await expectPurged(now, id, { reason: 'one_time_expired' });
    expect(await fetching).toMatchObject({ kind: 'done', reason: 'superseded' });
    expect(performance.now() - seizedAt).toBeLessThan(LIMITS.leaseRenewMs + 2_000);
    for (const fence of fences) {
      const packs = [{ id: 'late', sealed: new Uint8Array(8) }];
      const journal = { state: new Uint8Array(8), page: null, ended: false };
      const late = { ...fence, packs, droppedPacks: [], manifests: [], changes: [], journal };
      expect(await context.store.commitRecords(late)).toBe('superseded');
    }
    expect(fences).toHaveLength(1);
    expect(await context.store.leftOf(id)).toEqual({ tokens: 0, records: 0 });
  });

  test('a hundred sweeps and late jobs after the purge make no request at the source', async () => {
    const id = 'never-again';
    const link = await fetchedOnce(id);
    const now = later(context, DAY_MS + HOUR_MS);
    await sweepOnce(now);
    await expectPurged(now, id, { upstream: 'not_asked' });
    const before = requestsOf(link);
    expect(before.filter(({ path, status }) => path.includes('$everything') && status === 200)).toHaveLength(1);
    for (let sweep = 0; sweep < 100; sweep += 1) await sweepOnce(now);
    for (const where of [context, now]) {
      expect(await fetchOnce({ context: where, authorizationId: id, signal })).toMatchObject({
        reason: 'state_purged',
      });
      expect(await purge({ context: where, authorizationId: id, signal })).toMatchObject({ reason: 'purged_before' });
    }
    expect(requestsOf(link)).toHaveLength(before.length);
  });
});

describe('the retention rule', () => {
  async function revokedAtTheSource(id: string): Promise<Link> {
    const link = await accepted(id, { source: 'retaining' });
    await refreshAndPull({ context, authorizationId: id, askedFor: true, signal });
    await world.revoke(link.authorizationId);
    await refreshAndPull({ context, authorizationId: id, askedFor: true, signal });
    expect(await lineOf(context, id)).toMatch(/^needs_reauthorization/);
    return link;
  }

  test('a grant revoked at the source is kept for its days, says until when and why, and is purged then', async () => {
    const id = 'retained';
    await revokedAtTheSource(id);
    const { purgeDueAt, purgeReason } = await house.service.status(id);
    expect(purgeReason).toBe('retention');
    const inDays = (Date.parse(purgeDueAt ?? '') - context.clock.now()) / DAY_MS;
    expect(inDays).toBeGreaterThan(RETAINED_DAYS - 0.01);
    expect(inDays).toBeLessThanOrEqual(RETAINED_DAYS);
    expect(await house.service.records({ id, actor: 'test' }), 'it is still kept').toBeDefined();
    const afterwards = later(context, RETAINED_DAYS * DAY_MS);
    await expectRefused(afterwards, id);
    await sweepOnce(afterwards);
    await expectPurged(afterwards, id, { reason: 'retention', upstream: 'not_asked', usage: 'MULTIPLE' });
  });

  test('a patient who comes back in time keeps everything, and the purge job that was planned finds nothing to do', async () => {
    const id = 'came-back';
    await revokedAtTheSource(id);
    const records = (await house.service.records({ id, actor: 'test' })).cursor;
    await accepted(id, { source: 'retaining' });
    expect(await house.service.status(id)).toMatchObject({ state: 'active', purgeDueAt: null, purgeReason: null });
    const afterwards = later(context, RETAINED_DAYS * DAY_MS + 1);
    expect(await purge({ context: afterwards, authorizationId: id, signal })).toEqual({
      kind: 'done',
      reason: 'not_due',
    });
    expect((await house.service.records({ id, actor: 'test' })).cursor).toBe(records);
  });

  test('an authorization whose consent ends follows it too, without any request', async () => {
    const id = 'consent-over';
    const consentEndsAt = new Date(context.clock.now() + HOUR_MS).toISOString();
    const link = await accepted(id, { source: 'retaining', consentEndsAt });
    const overAt = later(context, 2 * HOUR_MS);
    await sweepOnce(overAt);
    expect(await lineOf(overAt, id)).toBe('needs_reauthorization (consent_ended)');
    expect(await context.store.get(id)).toMatchObject({ purgeReason: 'retention' });
    expect(requestsOf(link)).toEqual([]);
  });

  test('keep, the default, keeps', async () => {
    const id = 'kept';
    const link = await accepted(id);
    await world.revoke(link.authorizationId);
    await refreshAndPull({ context, authorizationId: id, askedFor: true, signal });
    expect(await house.service.status(id)).toMatchObject({ state: 'needs_reauthorization', purgeDueAt: null });
  });
});

describe('the end at the source', () => {
  const row = (link: Link) => world.row(link.authorizationId);

  test('a ONE_TIME authorization that asks for it is expunged and revoked right after its fetch, and readable here until its deadline', async () => {
    const id = 'once-expunged';
    const link = await fetchedOnce(id, { atEnd: 'expunge' });
    expect(await row(link)).toMatchObject({ expunges: 1, revocations: 1, alive: false });
    expect(await house.service.records({ id, actor: 'test' })).toBeDefined();
    await expect(house.service.token({ id, actor: 'test' })).rejects.toMatchObject({
      code: 'authorization_not_active',
    });
    expect(await context.store.get(id)).toMatchObject({ nextRunAt: null, failedRuns: 0 });
    const afterwards = later(context, DAY_MS + HOUR_MS);
    await sweepOnce(afterwards);
    await expectPurged(afterwards, id, { upstream: 'revoked_and_expunged' });
  });

  test('what a crash leaves out between fetch and end, the sweep brings back', async () => {
    const id = 'once-crashed';
    const link = await accepted(id, { usage: 'ONE_TIME', atEnd: 'revoke' });
    const sources = withSource(context.sources, (source) => ({ ...source, revoke: async () => 'unconfirmed' }));
    const broken = { ...context, sources };
    expect(await fetchOnce({ context: broken, authorizationId: id, signal })).toMatchObject({ kind: 'again' });
    const { fetchedAt, nextRunAt } = (await context.store.get(id)) ?? {};
    expect(fetchedAt).not.toBeNull();
    expect(nextRunAt, 'the sweep of overdue runs finds it').not.toBeNull();
    expect(await fetchOnce({ context, authorizationId: id, signal })).toMatchObject({
      kind: 'done',
      reason: 'fetched',
    });
    expect(await row(link)).toMatchObject({ revocations: 1 });
    expect(
      requestsOf(link).filter(({ path }) => path.includes('$everything')),
      'and fetches nothing again',
    ).toHaveLength(1);
  });

  test('DELETE of a MULTIPLE expunges and revokes where asked, and the receipt tells', async () => {
    const id = 'multiple-deleted';
    const link = await accepted(id, { atEnd: 'expunge' });
    await refreshAndPull({ context, authorizationId: id, askedFor: true, signal });
    await house.service.requestPurge({ id, actor: 'test' });
    await expectRefused(context, id);
    await sweepOnce(context);
    await expectPurged(context, id, { reason: 'requested', upstream: 'revoked_and_expunged', usage: 'MULTIPLE' });
    expect(await row(link)).toMatchObject({ expunges: 1, revocations: 1, alive: false });
  });

  test('DELETE of a MULTIPLE whose access token is over asks for one more, and revokes with that', async () => {
    const id = 'multiple-stale';
    const link = await accepted(id);
    const afterwards = later(context, 2 * DAY_MS);
    await createService(afterwards).requestPurge({ id, actor: 'test' });
    await sweepOnce(afterwards);
    await expectPurged(afterwards, id, { upstream: 'revoked' });
    expect(await row(link)).toMatchObject({ refreshes: 1, revocations: 1, alive: false });
  });

  test.each([
    ['the settings revoke what somebody deletes', { source: 'sandbox' }, 'revoked'],
    ['nothing is asked for', { source: 'sandbox', atEnd: 'nothing' }, 'not_asked'],
    ['the source cannot expunge', { source: 'plain', atEnd: 'expunge' }, 'revoked'],
    ['the source refuses: what is kept here goes all the same', { source: 'deaf', atEnd: 'revoke' }, 'failed'],
  ] as const)('a requested purge where %s', async (name, change, upstream) => {
    const id = `asked-${name.length}`;
    await accepted(id, change);
    await house.service.requestPurge({ id, actor: 'test' });
    await sweepOnce(context);
    await expectPurged(context, id, { upstream });
  });

  test('a source that stays away keeps nothing alive here: the deadline comes, and the receipt says that it was not ended there', async () => {
    const id = 'source-away';
    await accepted(id, { usage: 'ONE_TIME', source: 'deaf', atEnd: 'revoke' });
    expect(await fetchOnce({ context, authorizationId: id, signal })).toMatchObject({
      kind: 'again',
      reason: 'upstream_unavailable',
    });
    const afterwards = later(context, DAY_MS + HOUR_MS);
    await sweepOnce(afterwards);
    await expectPurged(afterwards, id, { upstream: 'no_token' });
  });
});
