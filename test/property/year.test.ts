import { describe, expect, test } from 'vitest';
import type { SealedTokens, Store } from '../../src/core/ports/store.ts';
import type { Policy } from '../support/model/authorization-server.ts';
import { EPOCH_MS } from '../support/model/world.ts';
import { DAY_MS, live, type Member, type Spans, type Weather } from '../support/model/year.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const YEAR_DAYS = 365;
const SEED = 11;

/** The whole thousand in a soak; a share of it, with fewer of the tokens that live for minutes or an hour, in an ordinary run. */
const SOAK = process.env['PERENNIAL_SOAK'] === '1';
const FLEET = SOAK ? 1_000 : 80;
const SHORT_LIVED_DAYS = SOAK ? 60 : 4;
/** A year of an hour's tokens is half of all refreshes of an ordinary run. */
const HOURLY_DAYS = SOAK ? 365 : 60;
const LIMIT_MS = SOAK ? 3_600_000 : 120_000;

const NETWORKS = ['TEFCA_IAS', 'CMS_9115', 'ONC_G10', 'CMS_9115'] as const;
const POLICIES: readonly Policy[] = ['same_pair', 'new_pair', 'strict', 'non_rotating'];
/** Most access tokens live for hours or days; one in fifty for an hour, one in fifty for minutes. */
const LIFETIMES_MS = [10 * HOUR_MS, DAY_MS, 30 * DAY_MS, YEAR_DAYS * DAY_MS, 7 * DAY_MS] as const;

function pick<T>(list: readonly [T, ...T[]], index: number): T {
  return list[index % list.length] ?? list[0];
}

/** The n-th authorization: every kind of lifetime meets every way in which a refresh token can die. */
function memberOf(index: number, idleDays: readonly [number, ...number[]]): Member {
  const policy = POLICIES[index % POLICIES.length] ?? 'strict';
  const rare = index % 50;
  const accessLifetimeMs =
    rare === 7 ? 5 * MINUTE_MS : rare === 23 ? HOUR_MS : pick(LIFETIMES_MS, Math.floor(index / 4));
  const dies = Math.floor(index / 3) % 4;
  return {
    id: `authorization-${index}`,
    network: pick(NETWORKS, Math.floor(index / 2)),
    tellsEnd: index % 2 === 0,
    days: rare === 7 ? SHORT_LIVED_DAYS : rare === 23 ? HOURLY_DAYS : YEAR_DAYS,
    terms: {
      policy,
      accessLifetimeMs,
      idleMs: dies === 3 ? null : pick(idleDays, Math.floor(index / 5)) * DAY_MS,
      refreshLifetimeMs: policy === 'non_rotating' || dies > 1 ? null : 90 * DAY_MS,
      endsAt: index % 20 === 19 ? EPOCH_MS + 180 * DAY_MS : null,
    },
  };
}

const fleetOf = (idleDays: readonly [number, ...number[]]): readonly Member[] =>
  Array.from({ length: FLEET / 2 }, (_, index) => memberOf(index, idleDays));

/** Outages of two to nine hours, every nine days. */
const OUTAGES: Spans = Array.from({ length: 40 }, (_, index) => {
  const from = (3 + 9 * index) * DAY_MS + ((index * 5) % 24) * HOUR_MS;
  return { from, to: from + (2 + (index % 8)) * HOUR_MS };
});
const DOWNTIMES: Spans = [40, 131, 250, 330].map((day) => ({ from: day * DAY_MS, to: (day + 2) * DAY_MS }));
const WEATHER: Weather = { seed: SEED, days: YEAR_DAYS, outages: OUTAGES, downtimes: [] };

describe('a year of refreshes', () => {
  test.each([
    { name: 'tokens that die after two idle days, through outages', idleDays: [2, 3, 7, 30] as const, downtimes: [] },
    {
      name: 'tokens that die after four, through two days without a worker',
      idleDays: [4, 7, 30] as const,
      downtimes: DOWNTIMES,
    },
  ])(
    'loses none: $name',
    async ({ idleDays: [first, ...others], downtimes }) => {
      const fleet = fleetOf([first, ...others]);
      const year = await live({ fleet, weather: { ...WEATHER, downtimes } });
      expect(year.refusals, 'no refresh token was used after its end, and none died of idleness').toEqual([]);
      expect(year.endedAccessUsed, 'no access token was used after its end').toBe(0);
      const capped = new Set(fleet.filter(({ terms }) => terms.endsAt !== null).map(({ id }) => id));
      const dead = year.authorizations.filter(({ state }) => state !== 'active');
      expect(dead.filter(({ id }) => !capped.has(id)).map(({ id, stateReason }) => [id, stateReason])).toEqual([]);
      expect(new Set(dead.map(({ stateReason }) => stateReason))).toEqual(new Set(['max_authorization_reached']));
    },
    LIMIT_MS,
  );

  test('control: where the age of a token is hidden, idle tokens die', async () => {
    const fleet = fleetOf([2, 3, 7, 30]).filter(({ terms }) => terms.accessLifetimeMs >= 7 * DAY_MS);
    const year = await live({ fleet, weather: WEATHER, variant: withoutAge });
    expect(year.refusals.filter(({ why }) => why === 'idle').length).toBeGreaterThan(5);
    expect(year.refusals.filter(({ why }) => why === 'ended').length).toBeGreaterThan(0);
  });
});

/** Hides from the decision when the refresh token was given, and when it ends. */
function withoutAge(store: Store): Store {
  const ageless = (row: SealedTokens | null): SealedTokens | null => {
    return row === null ? null : { ...row, accessLifetimeMs: 0, refreshExpiresAt: null };
  };
  return {
    ...store,
    tokens: async (authorizationId) => ageless(await store.tokens(authorizationId)),
    takeLease: async (wanted) => {
      const taken = await store.takeLease(wanted);
      if (taken === null || taken.standing === null) return taken;
      return { ...taken, standing: { ...taken.standing, tokens: ageless(taken.standing.tokens) } };
    },
  };
}
