import { afterEach, describe, expect, test } from 'vitest';
import { API_KEY, killLeftovers, newKey, type Served, serve, settingsOf } from '../support/processes.ts';
import { bestPlace, embeddedPlace, type Place } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { type Link, requestOf, SECOND_MS, startWorld, type World } from '../support/world.ts';

/** Running jobs may finish this long after SIGTERM (LIMITS.shutdownCapMs), and servers and pools have to close. */
const STOP_CAP_MS = 15_000;
const AT_ONCE_MS = 2_000;
/** Two virtual minutes are four seconds. */
const GENTLE_SPEED = 30;
/** Forty minutes there. */
const SELDOM = { pullEverySeconds: 72_000 } as const;
let world: World;
let place: Place;

afterEach(async () => {
  await killLeftovers();
  await world.close();
  await place.close();
});

describe('a process', () => {
  test('after SIGTERM takes no new job, ends the running one well, and exits with 0; the next process does the rest, once', async () => {
    await open({ speed: 1, at: bestPlace });
    const env = settingsOf({ place, world, encryptionKeys: newKey(), more: { WORKER_CONCURRENCY: '1' } });
    const first = await serve({ command: 'start', env });
    const running = await world.link({ knobs: { slowFhirMs: 2 * SECOND_MS } });
    const waiting = await world.link({});
    await first.api.enqueue(requestOf(running, { id: 'running' }));
    await until(
      'its page is asked for',
      () => pagesOf(running),
      (pages) => pages.length === 1,
    );
    await first.api.enqueue(requestOf(waiting, { id: 'waiting' }));
    await first.reaches('waiting', 'exchanged, its pull behind the other', ({ state }) => state === 'active');
    const toldAt = performance.now();
    first.signal('SIGTERM');
    const exit = await first.exit;
    expect(exit).toMatchObject({ code: 0, signal: null });
    expect(performance.now() - toldAt).toBeLessThan(STOP_CAP_MS);
    expect(pagesOf(running).map(({ status }) => status)).toEqual([200]);
    expect(pagesOf(waiting)).toEqual([]);
    expect(first.stderr()).toBe('');
    expect(first.events('stopped')).toHaveLength(1);

    const second = await serve({ command: 'start', env });
    await second.reaches('waiting', 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    expect(await second.api.status('running')).toMatchObject({ state: 'active', lastPull: { result: 'complete' } });
    expect(await second.records('running')).toEqual(await world.records(running.patient));
    expect(pagesOf(running), 'what was done is not done again').toHaveLength(1);
    expect(pagesOf(waiting)).toHaveLength(1);
    await stopped(second);
  });

  test('that only serves the API waits at its stop for a token that a caller made it spend, although the caller has gone', async () => {
    await open({ speed: 1, at: bestPlace });
    const env = settingsOf({ place, world, encryptionKeys: newKey() });
    const link = await world.link({
      exchanged: true,
      knobs: { slowTokenMs: 3 * SECOND_MS, oldRefreshToken: 'strict' },
    });
    const first = await serve({ command: 'web', env });
    const issuedAt = new Date(world.clock.now() - 86_400_000 + 30 * SECOND_MS).toISOString();
    await first.api.enqueue(requestOf(link, { id: 'asked-for', issuedAt }));
    const left = AbortSignal.timeout(SECOND_MS);
    const headers = { authorization: `Bearer ${API_KEY}` };
    const asked = fetch(`${first.url}/v1/authorizations/asked-for/token`, { headers, signal: left });
    await until(
      'the token is spent',
      () => world.row(link.authorizationId),
      ({ refreshes }) => refreshes === 1,
    );
    first.signal('SIGTERM');
    await expect(asked).rejects.toThrow();
    expect(await first.exit).toMatchObject({ code: 0, signal: null });

    await world.turn(link.authorizationId, { slowTokenMs: 0 });
    const second = await serve({ command: 'web', env });
    const again = await fetch(`${second.url}/v1/authorizations/asked-for/token`, { headers });
    expect(again.status, 'the pair was stored').toBe(200);
    expect(await world.row(link.authorizationId)).toMatchObject({ refreshes: 1, reusedRefreshTokens: 0, alive: true });
    await stopped(second);
  });

  test('with a refresh on the wire, SIGTERM waits for the reply and keeps the new token', async () => {
    await open({ speed: 1, at: bestPlace });
    const env = settingsOf({ place, world, encryptionKeys: newKey() });
    const first = await serve({ command: 'start', env });
    const link = await world.link({ exchanged: true, knobs: { slowTokenMs: 2 * SECOND_MS } });
    await first.api.enqueue(requestOf(link, { id: 'refreshing', ...soonOver() }));
    await until(
      'the refresh is sent',
      () => world.row(link.authorizationId),
      ({ refreshes }) => refreshes === 1,
    );
    await stopped(first);
    await world.turn(link.authorizationId, { slowTokenMs: 0 });
    const second = await serve({ command: 'start', env });
    await second.reaches('refreshing', 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    expect(await world.row(link.authorizationId)).toMatchObject({ alive: true, refreshes: 1, reusedRefreshTokens: 0 });
    await stopped(second);
  });

  test('at a second signal exits at once, with another code than 0', async () => {
    await open({ speed: 1, at: bestPlace });
    const process = await serve({ command: 'start', env: settingsOf({ place, world, encryptionKeys: newKey() }) });
    const link = await world.link({ knobs: { slowFhirMs: 30 * SECOND_MS } });
    await process.api.enqueue(requestOf(link, { id: 'slow' }));
    await until(
      'its page is asked for',
      () => pagesOf(link),
      (pages) => pages.length === 1,
    );
    process.signal('SIGTERM');
    await until(
      'it is stopping',
      () => process.events('stopping'),
      (lines) => lines.length === 1,
    );
    expect(process.running()).toBe(true);
    const toldAt = performance.now();
    process.signal('SIGTERM');
    expect((await process.exit).code).toBe(1);
    expect(performance.now() - toldAt).toBeLessThan(AT_ONCE_MS);
  });
});

describe('the embedded system', () => {
  test('killed in mid-life loses nothing and runs nothing twice', async () => {
    await open({ speed: GENTLE_SPEED, at: embeddedPlace });
    const env = settingsOf({ place, world, encryptionKeys: newKey() });
    const first = await serve({ command: 'start', env });
    const kept = [await world.link({}), await world.link({ endpoint: 'riverbend-clinic' })];
    const once = await world.link({ usage: 'ONE_TIME' });
    const ended = await world.link({});
    const pulling = await world.link({ knobs: { slowFhirMs: GENTLE_SPEED * SECOND_MS, everythingPageSize: 6 } });
    const exchanging = await world.link({ knobs: { tokenOutage: '503' } });
    for (const [index, link] of kept.entries())
      await first.api.enqueue(requestOf(link, { id: `kept-${index}`, cadence: SELDOM }));
    await first.api.enqueue(requestOf(once, { id: 'once', usage: 'ONE_TIME' }));
    await first.api.enqueue(requestOf(ended, { id: 'ended', cadence: SELDOM }));
    const whole = ['kept-0', 'kept-1', 'once', 'ended'];
    for (const id of whole) await first.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    const planned = [await first.api.status('kept-0'), await first.api.status('kept-1')].map(
      ({ nextRunAt }) => nextRunAt,
    );
    await first.api.purge('ended');
    await first.reaches('ended', 'purged', ({ state }) => state === 'purged');
    await first.api.enqueue(requestOf(exchanging, { id: 'exchanging' }));
    await first.reaches('exchanging', 'failed once', ({ failedRuns }) => failedRuns > 0);
    await first.api.enqueue(requestOf(pulling, { id: 'pulling', cadence: { pullEverySeconds: 120 } }));
    await until(
      'its second page is asked for',
      () => pagesOf(pulling),
      (pages) => pages.length >= 2,
    );
    first.signal('SIGKILL');
    expect(await first.exit).toMatchObject({ signal: 'SIGKILL' });
    await world.turn(exchanging.authorizationId, { tokenOutage: 'none' });
    await world.turn(pulling.authorizationId, { slowFhirMs: 0 });

    const second = await serve({ command: 'start', env });
    for (const id of ['pulling', 'exchanging']) {
      await second.reaches(id, 'pulled after the restart', ({ lastPull }) => lastPull?.result === 'complete');
    }
    for (const [id, link] of [
      ['kept-0', kept[0]],
      ['kept-1', kept[1]],
      ['once', once],
      ['pulling', pulling],
      ['exchanging', exchanging],
    ] as const) {
      if (link === undefined) throw new Error('no link');
      expect(await second.api.status(id), id).toMatchObject({ state: 'active', lastPull: { result: 'complete' } });
      expect(await second.records(id), id).toEqual(await world.records(link.patient));
      expect(await world.row(link.authorizationId), id).toMatchObject({ exchanges: 1, refreshes: 0, alive: true });
    }
    expect(await second.api.status('ended')).toMatchObject({ state: 'purged' });
    for (const link of [once, ended]) expect(pagesOf(link), 'pulled once, before the kill').toHaveLength(1);
    for (const [index, link] of kept.entries()) {
      const due = Date.parse(planned[index] ?? '') <= world.clock.now();
      expect(pagesOf(link), `kept-${index}: pulled before the kill, and then when it is due`).toHaveLength(due ? 2 : 1);
    }
    await stopped(second);
  }, 120_000);
});

async function open({ speed, at }: { readonly speed: number; readonly at: () => Promise<Place> }): Promise<void> {
  world = await startWorld({ speed });
  place = await at();
}

/** The pages that the source was asked for with this link's tokens. */
function pagesOf({ authorizationId }: Link): World['seen'] {
  return world.seen.filter((one) => one.authorizationId === authorizationId && one.path.includes('$everything'));
}

/** Handed-over tokens that end within a minute of real time. */
function soonOver(): { readonly expiresIn: number; readonly issuedAt: string } {
  return { expiresIn: 3_600, issuedAt: new Date(world.clock.now() - 3_550 * SECOND_MS).toISOString() };
}

async function stopped(process: Served): Promise<void> {
  process.signal('SIGTERM');
  expect(await process.exit).toMatchObject({ code: 0, signal: null });
}
