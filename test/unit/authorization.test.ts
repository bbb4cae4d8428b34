import { describe, expect, test } from 'vitest';
import { isReadable, mayMove, STATES, type State } from '../../src/core/authorization.ts';

const arrows = STATES.flatMap((from) => STATES.filter((to) => mayMove({ from, to })).map((to) => [from, to] as const));

function reachable(from: State): ReadonlySet<State> {
  const seen = new Set<State>();
  const next = [from];
  for (let state = next.pop(); state !== undefined; state = next.pop()) {
    for (const to of STATES) {
      if (!mayMove({ from: state, to }) || seen.has(to)) continue;
      seen.add(to);
      next.push(to);
    }
  }
  return seen;
}

describe('the state machine', () => {
  test('purge can be reached from everywhere, at once', () => {
    for (const from of STATES.filter((state) => state !== 'purging' && state !== 'purged')) {
      expect(mayMove({ from, to: 'purging' })).toBe(true);
      expect(reachable(from)).toContain('purged');
    }
  });

  test('purging leads to purged alone, and nothing leaves purged', () => {
    expect(arrows.filter(([from]) => from === 'purging')).toEqual([['purging', 'purged']]);
    expect(arrows.filter(([from]) => from === 'purged')).toEqual([]);
    expect(arrows.filter(([, to]) => to === 'purged').map(([from]) => from)).toEqual(['purging']);
  });

  test('no state moves to itself', () => {
    expect(arrows.filter(([from, to]) => from === to)).toEqual([]);
  });

  test('every state but the first can be reached from pending, and what a person can mend can be active again', () => {
    expect([...reachable('pending')].sort()).toEqual([...STATES].sort());
    for (const from of ['needs_reauthorization', 'suspended', 'quarantined'] as const) {
      expect(mayMove({ from, to: 'active' })).toBe(true);
    }
  });
});

describe('reading', () => {
  const at = (state: State, purgeDueAt: number | null, now = 1_000) => isReadable({ state, purgeDueAt }, now);

  test('is refused from the very millisecond of the purge deadline on, be the purge late or not', () => {
    expect(at('active', 1_001)).toBe(true);
    expect(at('active', 1_000)).toBe(false);
    expect(at('active', 1)).toBe(false);
  });

  test.each(['purging', 'purged'] as const)('is refused while %s, whatever the deadline', (state) => {
    expect([at(state, null), at(state, 1_000_000)]).toEqual([false, false]);
  });

  test('without a deadline is allowed in every other state', () => {
    for (const state of STATES.filter((one) => one !== 'purging' && one !== 'purged'))
      expect(at(state, null)).toBe(true);
  });
});
