import { FRESH_GATE, type GateState } from '../../core/gate.ts';

/** What a change makes of the state, and what it answers. The same state given back means that nothing has changed. */
export type Change<T> = (state: GateState) => { readonly state: GateState; readonly value: T };

/** Where the states of the gates lie. A change is applied to the newest state, and may be called more than once until it is the newest's. */
export type GateStates = { readonly change: <T>(key: string, change: Change<T>) => Promise<T> };

/** Gates remembered in one process; beyond it those that say least are forgotten. */
const REMEMBERED_MAX = 10_000;

/** States in the memory of this process. */
export function createMemoryStates(): GateStates {
  const states = createRecent<GateState>();
  return {
    change: async (key, change) => {
      const { state, value } = change(states.get(key) ?? FRESH_GATE);
      states.set(key, state);
      return value;
    },
  };
}

export type Recent<T> = {
  readonly get: (key: string) => T | undefined;
  readonly set: (key: string, value: T) => void;
  readonly values: () => Iterable<T>;
};

/** A map that forgets what was set longest ago when it holds {@link REMEMBERED_MAX}. */
export function createRecent<T>(): Recent<T> {
  const kept = new Map<string, T>();
  return {
    get: (key) => kept.get(key),
    set: (key, value) => {
      kept.delete(key);
      kept.set(key, value);
      const [oldest] = kept.size > REMEMBERED_MAX ? kept.keys() : [];
      if (oldest !== undefined) kept.delete(oldest);
    },
    values: () => kept.values(),
  };
}
