import { describe, expect, test } from 'vitest';
import { catchUpAt, catchUpWindowMs, compareDeadlines, type Deadlines } from '../../src/core/catch-up.ts';
import { decideRun } from '../../src/core/decide-run.ts';
import { LIMITS, UNITS } from '../../src/core/limits.ts';
import { slotOf } from '../../src/core/slot.ts';
import { spreadOf } from '../../src/core/spread.ts';

const { HOUR_MS, MINUTE_MS, DAY_MS, SECOND_MS } = UNITS;
const NOW = 1_800_000_000_000;
const COUNT = 100_000;
const SPACING_MS = LIMITS.catchUpSpacingMs;
const PERIOD_MS = 23 * HOUR_MS;

type Member = Deadlines & { readonly slot: number; readonly plannedAt: number };

/** 100,000 authorizations whose worker was away for so long: those whose slot fell into that time are overdue. */
function overdueAfter(downMs: number): readonly Member[] {
  const all = Array.from({ length: COUNT }, (_, index): Member => {
    const id = `a-${String(index).padStart(6, '0')}`;
    const { next } = slotOf({ id, everyMs: PERIOD_MS, phase: spreadOf(id), now: NOW });
    const ran = slotOf({ id, everyMs: PERIOD_MS, phase: spreadOf(id), now: NOW - downMs }).next - PERIOD_MS;
    return {
      id,
      slot: next,
      plannedAt: ran + PERIOD_MS,
      freshAsOf: ran,
      lateAfterMs: DAY_MS,
      accessExpiresAt: ran + DAY_MS,
      refreshExpiresAt: ran + 90 * DAY_MS,
    };
  });
  return all.filter(({ plannedAt }) => plannedAt < NOW);
}

function caughtUp(backlog: readonly Member[]): readonly (Member & { readonly at: number })[] {
  const order = compareDeadlines({ now: NOW, urgentBefore: NOW + 2 * HOUR_MS });
  return backlog.toSorted(order).map((member, rank) => ({
    ...member,
    at: catchUpAt({ rank, backlog: backlog.length, spacingMs: SPACING_MS, slot: member.slot, now: NOW }),
  }));
}

function peakMinute(instants: readonly number[]): number {
  const minutes = Map.groupBy(instants, (at) => Math.floor((at - NOW) / MINUTE_MS));
  return Math.max(...[...minutes.values()].map(({ length }) => length));
}

describe.each([
  ['an hour', HOUR_MS, 3_000],
  ['two days', 2 * DAY_MS, COUNT],
])('after %s of downtime, 100,000 authorizations', (_what, downMs, least) => {
  const backlog = overdueAfter(downMs);
  const plans = caughtUp(backlog);

  test('all that are overdue run once, within the hour, or at their own slot where that comes first', () => {
    expect(backlog.length).toBeGreaterThanOrEqual(least);
    expect(new Set(plans.map(({ id }) => id)).size).toBe(backlog.length);
    for (const { at, slot } of plans) {
      expect(at).toBeGreaterThanOrEqual(NOW);
      expect(at).toBeLessThanOrEqual(Math.min(NOW + HOUR_MS + LIMITS.catchUpAfterMs, slot));
    }
  });

  test('no minute has more than the spacing allows, with what their own slots add', () => {
    const allowed = (MINUTE_MS / catchUpWindowMs({ backlog: backlog.length, spacingMs: SPACING_MS })) * backlog.length;
    expect(peakMinute(plans.map(({ at }) => at))).toBeLessThanOrEqual(1.1 * Math.min(allowed, 3_000) + 100);
    // Control: what BullMQ does by itself, all at once.
    expect(peakMinute(backlog.map(() => NOW))).toBe(backlog.length);
  });

  test('whose deadline is nearer goes first, but for those whose own slot comes first', () => {
    const planned = plans.filter(({ at, slot }) => at < slot);
    const late = ({ freshAsOf }: Member) => (freshAsOf ?? 0) + DAY_MS;
    for (const [index, member] of planned.slice(1).entries()) {
      const before = planned[index];
      if (before === undefined) continue;
      expect(late(before)).toBeLessThanOrEqual(late(member));
      expect(before.at).toBeLessThanOrEqual(member.at);
    }
  });

  test('a job that wakes at once waits for every such plan, and none is taken for the plan of a wrong clock', () => {
    const reasons = Map.groupBy(
      plans,
      ({ at, slot }) => decideRun({ nextRunAt: at, slot, askedFor: false, now: NOW }).reason,
    );
    expect(reasons.has('implausible_plan')).toBe(false);
    // Only whose own slot comes within the minute runs at once, and that is as many as in any minute.
    const dueNow = plans.filter(({ at }) => at - NOW <= MINUTE_MS).length;
    expect(dueNow).toBeLessThan((2 * COUNT * MINUTE_MS) / PERIOD_MS);
    expect(reasons.get('planned_later')?.length).toBe(plans.length - dueNow);
  });
});

describe('the window of a catch-up', () => {
  test.each([
    [0, 0],
    [300, 6 * SECOND_MS],
    [100_000, 2_000 * SECOND_MS],
    [1_000_000, HOUR_MS],
  ])('for %d overdue runs is %d ms', (backlog, windowMs) => {
    expect(catchUpWindowMs({ backlog, spacingMs: SPACING_MS })).toBe(windowMs);
  });

  test('of a short period ends with it: nobody waits for longer than its own next slot', () => {
    const slot = NOW + 4 * MINUTE_MS;
    expect(catchUpAt({ rank: 999_999, backlog: 1_000_000, spacingMs: SPACING_MS, slot, now: NOW })).toBe(slot);
  });
});

describe('who goes first', () => {
  const member = (id: string, differences: Partial<Deadlines> = {}): Deadlines => ({
    id,
    freshAsOf: NOW - DAY_MS,
    lateAfterMs: DAY_MS,
    accessExpiresAt: null,
    refreshExpiresAt: null,
    ...differences,
  });
  const order = (...members: readonly Deadlines[]) =>
    members.toSorted(compareDeadlines({ now: NOW, urgentBefore: NOW + 2 * HOUR_MS })).map(({ id }) => id);

  test('whose refresh token is about to end, since that cannot be made good; one that has ended can be late', () => {
    const dying = member('dying', { refreshExpiresAt: NOW + HOUR_MS });
    const ended = member('ended', { refreshExpiresAt: NOW - 1 });
    const late = member('late', { freshAsOf: NOW - 3 * DAY_MS });
    expect(order(late, ended, dying)).toEqual(['dying', 'late', 'ended']);
  });

  test('then whose records are late or whose token ends soonest, whichever is first; what is not known comes last', () => {
    const records = member('records', { freshAsOf: NOW - DAY_MS - 2 });
    const access = member('access', { accessExpiresAt: NOW - 1 });
    const unknown = member('unknown', { freshAsOf: null });
    expect(order(unknown, access, records, member('b'), member('a'))).toEqual([
      'records',
      'access',
      'a',
      'b',
      'unknown',
    ]);
  });
});
