import { expect, test } from 'vitest';
import type { AuthorizationRequest } from '../../../src/contract/wire.ts';
import { accept } from '../../../src/flows/accept.ts';
import { refreshAndPull } from '../../../src/flows/refresh-and-pull.ts';
import { createService } from '../../../src/flows/serve.ts';
import { QUIET_QUEUE } from '../../support/quiet-queue.ts';
import { until } from '../../support/system-until.ts';
import { HOUR_MS, type Link, MINUTE_MS, requestOf, type World } from '../../support/world.ts';
import type { Stage } from '../system.contract.ts';
import { nearlyOver } from './tokens.ts';

const CALLERS = 50;
const ROUNDS = 4;
const DAY_MS = 24 * HOUR_MS;
/** What is left of a token that is due for its refresh: half a second of wall time at this speed, so that a busy machine still finds it alive. */
const LEFT_MS = 5 * MINUTE_MS;
/** Resolves when the token of a request is over. */
function over(world: World, { issuedAt }: { readonly issuedAt: string }): Promise<number> {
  return until(
    'the token in hand is over',
    async () => world.clock.now() - Date.parse(issuedAt),
    (ageMs) => ageMs > DAY_MS,
  );
}
const iso = (instant: number) => new Date(instant).toISOString();

/** Access tokens for others: valid, audited, and never at the price of a second refresh. */
export function handsOutTokens(stage: () => Stage): void {
  test(`${CALLERS} callers at two workers who ask for one due token make one refresh, ${ROUNDS} times over`, async () => {
    const { system, world } = stage();
    for (let round = 0; round < ROUNDS; round += 1) {
      const id = `token-due-${round}`;
      const link = await world.link({ exchanged: true, knobs: { slowTokenMs: MINUTE_MS } });
      const nearly = { expiresIn: 86_400, issuedAt: iso(world.clock.now() - DAY_MS + LEFT_MS) };
      await accept({ context: quiet(stage()), request: requestOf(link, { id, ...nearly }), actor: 'test' });
      await over(world, nearly);
      const others = createService({ ...quiet(stage()), owner: 'another worker' });
      const desks = [system.service, others];
      const asked = Array.from({ length: CALLERS }, (_, index) =>
        (desks[index % 2] ?? others).token({ id, actor: `caller-${index}` }),
      );
      const handed = await Promise.all(asked);
      expect(new Set(handed.map(({ accessToken }) => accessToken)).size).toBe(1);
      expect(await world.row(link.authorizationId)).toMatchObject({
        refreshes: 1,
        reusedRefreshTokens: 0,
        alive: true,
      });
      const audit = await system.context.store.auditOf(id);
      expect(audit.filter(({ action }) => action === 'read:token')).toHaveLength(CALLERS);
      const [first] = handed;
      expect(first).toMatchObject({ tokenType: 'Bearer', fhirBaseUrl: `${world.url}/fhir`, patient: link.patient });
      expect(await statusWith(world, first?.accessToken ?? '')).toBe(200);
    }
  });

  test('a token that is still good is handed out without a word to the source', async () => {
    const { system, world } = stage();
    const link = await world.link({ exchanged: true });
    const id = 'token-good';
    await accept({ context: quiet(stage()), request: requestOf(link, { id }), actor: 'test' });
    const before = world.seen.length;
    const handed = await system.service.token({ id, actor: 'portal' });
    expect(handed.accessToken).toBe(link.token?.access_token);
    expect(handed.expiresIn).toBeGreaterThan(80_000);
    // Others live in this world, and refresh on their own account.
    const asked = world.seen.slice(before).filter(({ authorizationId }) => authorizationId === link.authorizationId);
    expect(asked).toEqual([]);
    expect(await world.row(link.authorizationId)).toMatchObject({ refreshes: 0 });
  });

  test('who asks for a token of a dead, a purged or an unknown authorization is told which it is', async () => {
    const { system, world } = stage();
    const link = await world.link({ exchanged: true });
    const id = 'token-dead';
    await system.accept(requestOf(link, { id, ...nearlyOver(world), refreshToken: 'never-issued' }));
    await system.reaches(id, 'dead', ({ state }) => state === 'needs_reauthorization');
    await expect(system.service.token({ id, actor: 'portal' })).rejects.toMatchObject({ code: 'authorization_dead' });
    await system.purge(id);
    await expect(system.service.token({ id, actor: 'portal' })).rejects.toMatchObject({ code: 'authorization_ended' });
    await expect(system.service.token({ id: 'nobody', actor: 'portal' })).rejects.toMatchObject({
      code: 'authorization_not_found',
    });
  });

  test('a token that cannot be refreshed now is refused with what stands in the way, and no patient’s state changes', async () => {
    const { system, world } = stage();
    for (const [outage, code] of [
      ['503', 'upstream_unavailable'],
      ['429', 'upstream_throttled'],
      ['not-json', 'refresh_unsure'],
    ] as const) {
      const link = await world.link({ exchanged: true, knobs: { tokenOutage: outage } });
      const id = `token-away-${outage}`;
      const nearly = { expiresIn: 86_400, issuedAt: iso(world.clock.now() - DAY_MS + LEFT_MS) };
      await accept({ context: quiet(stage()), request: requestOf(link, { id, ...nearly }), actor: 'test' });
      await over(world, nearly);
      await expect(system.service.token({ id, actor: 'portal' })).rejects.toMatchObject({ code });
      expect(await system.status(id)).toMatchObject({ state: 'active' });
      await system.purge(id);
    }
  });
}

/** The calendar of ends, its warnings, and the repair by a new consent. */
export function warnsAheadOfTheEnd(stage: () => Stage): void {
  test('an end that comes nearer is announced ahead of time, once, and what is over is over', async () => {
    const { system, world } = stage();
    const link = await world.link({ exchanged: true });
    const id = 'consent-ends';
    const end = world.clock.now() + 40 * MINUTE_MS;
    await system.accept(requestOf(link, { id, consentEndsAt: iso(end) }));
    await until(
      'the warning',
      () => eventsOf(stage(), id),
      (events) => events.length > 0,
    );
    const listed = await system.service.calendar({ withinDays: 1, limit: 500 });
    expect(listed.ending.find((view) => view.id === id)).toMatchObject({ endsBecause: 'consent', endsAt: iso(end) });
    const view = await system.reaches(id, 'over', ({ state }) => state !== 'active');
    expect(view).toMatchObject({ state: 'needs_reauthorization', why: 'consent_ended', nextRunAt: null });
    expect(await eventsOf(stage(), id)).toMatchObject([
      { kind: 'ending', reason: 'consent', endsAt: iso(end), daysLeft: 1 },
      { kind: 'needs_reauthorization', reason: 'consent_ended' },
    ]);
  });

  test('of several days that have passed unsaid one warning is given, with the days that are left', async () => {
    const { system, world } = stage();
    const link = await world.link({ exchanged: true });
    const id = 'consent-near';
    await system.accept(requestOf(link, { id, consentEndsAt: iso(world.clock.now() + 5.5 * DAY_MS) }));
    const events = await until(
      'the warning',
      () => eventsOf(stage(), id),
      (found) => found.length > 0,
    );
    await system.pull(id);
    expect(events).toMatchObject([{ kind: 'ending', daysLeft: 6 }]);
    expect(await eventsOf(stage(), id)).toHaveLength(1);
  });

  test('the ends that token replies tell are kept: refresh token, maximum period, grant', async () => {
    const { system, world } = stage();
    const year = 365 * DAY_MS;
    const knobs = {
      timeUntilMaxAuth: 'seconds',
      maxAuthPeriodMs: 400 * DAY_MS,
      accessGrantMs: year,
      fractionalExpiresIn: true,
    } as const;
    const link = await world.link({ knobs });
    const id = 'ends-told';
    await system.accept(requestOf(link, { id }));
    const view = await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    const daysOf = (text: string | null) => Math.round((Date.parse(text ?? '') - world.clock.now()) / DAY_MS);
    expect(daysOf(view.ends.refreshToken)).toBe(90);
    expect(daysOf(view.ends.maxAuthorization)).toBe(400);
    expect(daysOf(view.ends.accessGrant)).toBe(365);
    expect(view).toMatchObject({ endsBecause: 'refreshToken', endsAt: view.ends.refreshToken, usage: 'MULTIPLE' });
  });

  test('a patient who authorizes again under the same id is repaired: records and cursor stay, and the app is told', async () => {
    const { system, world } = stage();
    const id = 'repaired';
    const first = await world.link({});
    const request = requestOf(first, { id, cadence: { pullEverySeconds: 600 } });
    await system.accept(request);
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    await world.revoke(first.authorizationId);
    await system.reaches(id, 'dead', ({ state }) => state === 'needs_reauthorization');
    const kept = await system.records(id);
    const again = await world.link({});
    await system.accept(consentOf({ request, link: again }));
    const view = await system.reaches(id, 'alive', ({ state }) => state === 'active');
    expect(view).toMatchObject({ why: 'reauthorized', failedRuns: 0, lastError: null });
    expect(kept).not.toEqual([]);
    await system.reaches(id, 'pulled', ({ freshness }) => !freshness.late && freshness.ageSeconds !== null);
    await until(
      'the records of the new consent',
      () => system.records(id),
      (records) => records.length > 0,
    );
    expect((await eventsOf(stage(), id)).map(({ kind }) => kind)).toEqual(['needs_reauthorization', 'repaired']);
    // A late repetition of the first request must not bring back its tokens.
    const tokens = await system.tokens(id);
    expect(await system.service.accept({ request, actor: 'test' })).toMatchObject({ created: false });
    expect((await system.tokens(id)).refreshToken?.reveal()).toBe(tokens.refreshToken?.reveal());
    await system.purge(id);
  });

  test('a living authorization takes new tokens only from a request that says so, and for what it was', async () => {
    const { system, world } = stage();
    const id = 'renewed-alive';
    const first = await world.link({ exchanged: true });
    const request = requestOf(first, { id, cadence: { pullEverySeconds: 600 } });
    await system.accept(request);
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    const link = await world.link({ exchanged: true });
    const renewed = consentOf({ request, link });
    const offer = (change: Partial<AuthorizationRequest>) =>
      system.service.accept({ request: { ...renewed, ...change }, actor: 'test' });
    await expect(offer({})).rejects.toMatchObject({ code: 'authorization_conflict', field: 'id' });
    await expect(offer({ reauthorizes: true, network: 'ONC_G10' })).rejects.toMatchObject({ field: 'network' });
    await expect(offer({ reauthorizes: true, endpoint: { id: 'other' } })).rejects.toMatchObject({
      field: 'endpoint.id',
    });
    await offer({ reauthorizes: true });
    expect((await system.tokens(id)).refreshToken?.reveal()).toBe(link.token?.refresh_token);
    expect(await system.status(id)).toMatchObject({ state: 'active', why: 'reauthorized' });
    expect((await eventsOf(stage(), id)).map(({ kind }) => kind)).toEqual(['repaired']);
    await system.purge(id);
  });
}

/** What real servers answer when a grant is over, other than `invalid_grant`. */
export function takesASecondLook(stage: () => Stage): void {
  test('a dead refresh token that is answered with invalid_request is believed at the second look, and not before', async () => {
    const { system, world } = stage();
    const link = await world.link({ exchanged: true, knobs: { deadRefreshCode: 'invalid_request' } });
    const id = 'unclear-refusal';
    await world.revoke(link.authorizationId);
    await system.accept(requestOf(link, { id, ...nearlyOver(world) }));
    const unsure = await system.reaches(id, 'refused once', ({ trouble }) => trouble !== null);
    expect(unsure).toMatchObject({ state: 'active', trouble: { kind: 'unsure' }, lastError: 'refresh_unsure' });
    const view = await system.reaches(id, 'stopped', ({ state }) => state !== 'active');
    expect(view).toMatchObject({ state: 'needs_reauthorization', why: 'revoked' });
  });

  test('a source that answers 404 to everything has ended the grant, if its second answer says so too', async () => {
    const { system, world } = stage();
    const link = await world.link({ knobs: { endedGrantStatus: 404 } });
    const id = 'grant-not-found';
    await system.accept(requestOf(link, { id, cadence: { pullEverySeconds: 600 } }));
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    await world.revoke(link.authorizationId);
    const view = await system.reaches(id, 'stopped', ({ state }) => state !== 'active');
    expect(view).toMatchObject({ state: 'needs_reauthorization', why: 'grant_not_found' });
  });

  test('a source that answers 404 to everything while the grant lives ends nothing', async () => {
    const { system, world } = stage();
    const link = await world.link({ knobs: { refusedTypes: ['Patient'], refusedStatus: 404 } });
    const id = 'nothing-found';
    await system.accept(requestOf(link, { id, source: 'patients' }));
    const view = await system.reaches(id, 'tried', ({ lastError }) => lastError !== null);
    expect(view).toMatchObject({ state: 'active', lastError: 'type_refused' });
    await system.purge(id);
  });

  test('records are pulled with the token in hand while the token endpoint is away', async () => {
    const { system, world } = stage();
    const link = await world.link({ exchanged: true, knobs: { tokenOutage: '503' } });
    const id = 'pulled-meanwhile';
    await accept({ context: quiet(stage()), request: requestOf(link, { id, ...nearlyOver(world) }), actor: 'test' });
    const signal = new AbortController().signal;
    await refreshAndPull({ context: quiet(stage()), authorizationId: id, askedFor: false, signal });
    const view = await system.status(id);
    expect(view).toMatchObject({ state: 'active', trouble: { kind: 'outage' }, lastPull: { result: 'complete' } });
    expect(view.freshness.ageSeconds).not.toBeNull();
    await world.turn(link.authorizationId, { tokenOutage: 'none' });
    await system.purge(id);
  });
}

function consentOf({ request, link }: { readonly request: AuthorizationRequest; readonly link: Link }) {
  const { publicToken: _public, accessToken: _access, refreshToken: _refresh, ...rest } = request;
  const { id, cadence, endpoint, network } = rest;
  return { ...requestOf(link, { id, ...(cadence === undefined ? {} : { cadence }) }), endpoint, network };
}

async function eventsOf({ system }: Stage, id: string) {
  const found = await system.service.events({ after: 0, limit: 500 });
  return found.filter(({ authorizationId }) => authorizationId === id);
}

/** The same house with a queue that does nothing: what happens is what the test does. */
function quiet({ system }: Stage): Stage['system']['context'] {
  return { ...system.context, queue: { ...system.context.queue, ...QUIET_QUEUE } };
}

async function statusWith(world: World, accessToken: string): Promise<number> {
  const headers = { authorization: `Bearer ${accessToken}` };
  const response = await fetch(`${world.url}/fhir/Patient`, { headers });
  await response.arrayBuffer();
  return response.status;
}
