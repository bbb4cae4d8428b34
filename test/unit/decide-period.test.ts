import { describe, expect, test } from 'vitest';
import { nextSlot, phaseOf } from '../../src/core/cadence.ts';
import { decidePeriod } from '../../src/core/decide-period.ts';
import { UNITS } from '../../src/core/limits.ts';

const { HOUR_MS } = UNITS;
const NOW = Date.UTC(2026, 6, 1, 12);
type Case = Parameters<typeof decidePeriod>[0];

/** One that runs each 6 h at phase 0.5, was pulled 3 h ago and has a token for 23 h more. */
function decide({
  standing,
  tokens,
  ...rest
}: {
  readonly standing?: Partial<Case['standing']>;
  readonly tokens?: Partial<Case['tokens']>;
  readonly cadence: Case['cadence'];
}) {
  return decidePeriod({
    standing: {
      id: 'a-1',
      periodMs: 6 * HOUR_MS,
      phase: 0.5,
      nextRunAt: NOW + 3 * HOUR_MS,
      nextPullAt: null,
      freshAsOf: NOW - 3 * HOUR_MS,
      ...standing,
    },
    tokens: { accessExpiresAt: NOW + 23 * HOUR_MS, accessLifetimeMs: 24 * HOUR_MS, refreshExpiresAt: null, ...tokens },
    now: NOW,
    ...rest,
  });
}
const atOf = (decision: ReturnType<typeof decidePeriod>) => (decision.kind === 'move' ? decision.next.at : Number.NaN);
const every = (hours: number, lateAfterHours = 24) => ({
  pullEveryMs: hours * HOUR_MS,
  lateAfterMs: lateAfterHours * HOUR_MS,
});

describe('after a change of the cadence table', () => {
  test('who has its period already keeps its plan', () => {
    expect(decide({ cadence: every(6) })).toEqual({ kind: 'keep', reason: 'same_period' });
  });

  test.each([4, 8, 12])('the next run is the next slot of the new period of %d h', (hours) => {
    const periodMs = hours * HOUR_MS;
    const slot = nextSlot({ now: NOW, periodMs, phaseMs: phaseOf({ id: 'a-1', periodMs, phase: 0.5 }) });
    expect(decide({ cadence: every(hours) })).toEqual({
      kind: 'move',
      reason: 'cadence_changed',
      periodMs,
      next: { at: slot, by: 'slot' },
    });
  });

  test('it comes earlier, at any time before, where the records would be late by then', () => {
    const freshAsOf = NOW - 20 * HOUR_MS;
    const decision = decide({ cadence: every(12), standing: { freshAsOf } });
    expect(decision).toMatchObject({ next: { by: 'own_job' } });
    expect(atOf(decision)).toBeGreaterThanOrEqual(NOW);
    expect(atOf(decision)).toBeLessThanOrEqual(freshAsOf + 23 * HOUR_MS);
  });

  test('it comes earlier where the access token would be used up by then', () => {
    const decision = decide({ cadence: every(12), tokens: { accessExpiresAt: NOW + 4 * HOUR_MS } });
    expect(decision).toMatchObject({ next: { by: 'own_job' } });
    expect(atOf(decision)).toBeLessThanOrEqual(NOW + 3 * HOUR_MS);
  });

  test('what is overdue already comes now', () => {
    const decision = decide({ cadence: every(12), standing: { freshAsOf: NOW - 30 * HOUR_MS } });
    expect(atOf(decision)).toBe(NOW);
  });

  test('a retry that is planned before the slot waits no longer for it', () => {
    const nextRunAt = NOW + 10 * 60_000;
    expect(decide({ cadence: every(12), standing: { nextRunAt } })).toMatchObject({
      next: { at: nextRunAt, by: 'own_job' },
    });
  });
});
