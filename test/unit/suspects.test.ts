import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/core/limits.ts';
import { createSuspects, type Suspects } from '../../src/flows/suspects.ts';

const POISON = 'poison';
const INNOCENT = Array.from({ length: 300 }, (_, nth) => `patient-${nth}`);
/** A poison that takes its worker three times has done so long before. */
const ROUNDS_MAX = 1_000;

describe('the places for suspects', () => {
  test('are some after a first death, and one that is nobody else beside it after a second', () => {
    const suspects = createSuspects();
    const first = Array.from({ length: LIMITS.suspectsAtOnce }, () => suspects.enter(1));
    expect(first).not.toContain(null);
    expect(suspects.enter(1)).toBeNull();
    expect(suspects.enter(2)).toBeNull();
    for (const leave of first) leave?.();
    const alone = suspects.enter(2);
    expect(alone).not.toBeNull();
    expect(suspects.enter(2)).toBeNull();
    expect(suspects.enter(1)).toBeNull();
    alone?.();
    expect(suspects.enter(1)).not.toBeNull();
  });

  test('a poison that dies with 300 others is alone in coming to three, and the others are through in a fraction of the turns', () => {
    const { crashes, turns } = outcomeOf(createSuspects);
    expect(crashes.get(POISON)).toBe(LIMITS.crashesMax);
    expect(INNOCENT.filter((id) => (crashes.get(id) ?? 0) >= LIMITS.crashesMax)).toEqual([]);
    expect(turns).toBeLessThan(INNOCENT.length / 4);
  });

  test('control: where those of a second death run side by side too, it takes innocents with it', () => {
    const careless = (): Suspects => {
      const suspects = createSuspects();
      return { enter: () => suspects.enter(1) };
    };
    const { crashes } = outcomeOf(careless);
    expect(INNOCENT.filter((id) => (crashes.get(id) ?? 0) >= LIMITS.crashesMax)).not.toEqual([]);
  });
});

/**
 * What all come to after a worker has died with them: in each turn who finds a place runs. Where the poison is among them the process dies with all of these;
 * else they have run well. A new process comes in its place.
 */
function outcomeOf(create: () => Suspects): { readonly crashes: ReadonlyMap<string, number>; readonly turns: number } {
  const crashes = new Map([...INNOCENT.slice(0, 40), POISON, ...INNOCENT.slice(40)].map((id) => [id, 1]));
  const waiting = new Set(crashes.keys());
  let turns = 0;
  while (waiting.size > 0 && turns < ROUNDS_MAX) {
    turns += 1;
    const suspects = create();
    const running = [...waiting].filter((id) => suspects.enter(crashes.get(id) ?? 0) !== null);
    const dies = running.includes(POISON);
    for (const id of running) {
      const count = dies ? (crashes.get(id) ?? 0) + 1 : 0;
      crashes.set(id, count);
      if (count === 0 || count >= LIMITS.crashesMax) waiting.delete(id);
    }
  }
  return { crashes, turns };
}
