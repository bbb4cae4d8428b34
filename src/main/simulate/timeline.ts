import { UNITS } from '../../core/limits.ts';

const { MINUTE_MS } = UNITS;
const NONE = -1;
/** One minute's places: the millisecond within the minute stands before the member. */
const MEMBERS_MAX = 2 ** 24;

/** Who wakes when: one wake for each member, in lists by minute. Instants are milliseconds since the start. */
export type Timeline = {
  /** Sets or moves a member's wake; one in the past wakes in the minute that is being worked on. Beyond the end nobody wakes. */
  readonly set: (member: number, at: number) => void;
  readonly clear: (member: number) => void;
  readonly wakeOf: (member: number) => number;
  /** Takes all who wake in a minute out of it, in the order of their instants, then of their numbers. The array is used again by the next call. */
  readonly take: (minute: number) => Float64Array;
  readonly minutes: number;
};

/** The member in what {@link Timeline.take} gives. */
export function memberAt(key: number): number {
  return key % MEMBERS_MAX;
}

/** An empty timeline for so many members and minutes. */
export function createTimeline({ members, minutes }: { readonly members: number; readonly minutes: number }): Timeline {
  const heads = new Int32Array(minutes).fill(NONE);
  const next = new Int32Array(members).fill(NONE);
  const previous = new Int32Array(members).fill(NONE);
  const placeOf = new Int32Array(members).fill(NONE);
  const wakes = new Float64Array(members).fill(Number.POSITIVE_INFINITY);
  const keys = new Float64Array(members);
  let current = 0;

  const unlink = (member: number): void => {
    const place = placeOf[member] ?? NONE;
    if (place === NONE) return;
    const before = previous[member] ?? NONE;
    const after = next[member] ?? NONE;
    if (before === NONE) heads[place] = after;
    else next[before] = after;
    if (after !== NONE) previous[after] = before;
    placeOf[member] = NONE;
  };

  const set = (member: number, at: number): void => {
    unlink(member);
    wakes[member] = at;
    const place = Math.max(current, Math.floor(at / MINUTE_MS));
    if (place >= minutes) return;
    const head = heads[place] ?? NONE;
    heads[place] = member;
    next[member] = head;
    previous[member] = NONE;
    if (head !== NONE) previous[head] = member;
    placeOf[member] = place;
  };

  const take = (minute: number): Float64Array => {
    current = minute;
    let found = 0;
    for (let member = heads[minute] ?? NONE; member !== NONE; member = next[member] ?? NONE) {
      const ms = Math.floor((wakes[member] ?? 0) - minute * MINUTE_MS);
      keys[found] = Math.min(MINUTE_MS, Math.max(0, ms)) * MEMBERS_MAX + member;
      placeOf[member] = NONE;
      found += 1;
    }
    heads[minute] = NONE;
    return keys.subarray(0, found).sort();
  };

  return {
    set,
    clear: (member) => {
      unlink(member);
      wakes[member] = Number.POSITIVE_INFINITY;
    },
    wakeOf: (member) => wakes[member] ?? Number.POSITIVE_INFINITY,
    take,
    minutes,
  };
}
