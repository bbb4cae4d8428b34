/** A run that lasts longer lends its place out: what waits that long waits for its source, and costs memory, not time. */
const LEND_AFTER_MS = 5_000;
/** As many times its places a worker lends at most: each run that is under way may hold some MB. */
const LENT_PER_PLACE = 2;
/**
 * Jobs in hand that wait for a place, as a share of the places and at least. BullMQ looks for more only when a job has ended: where every place has just been lent out, these are what
 * ends, and one of them at least should be of no hanging source.
 */
const WAITING_SHARE = 0.5;
const WAITING_MIN = 2;

/** The places of one worker. */
export type Places = {
  /** Does the run once there is a place. */
  readonly within: <T>(run: () => Promise<T>) => Promise<T>;
  /** How many jobs to have in hand. */
  readonly wanted: () => number;
};

/**
 * Places for so many runs at once. Runs of a hanging source last until their deadlines, and would fill the places of a worker one after the other: after a while a run no
 * longer counts, until too many do not. `onChange` is called when {@link Places.wanted} has changed.
 */
export function createPlaces({
  count,
  lendAfterMs = LEND_AFTER_MS,
  onChange,
}: {
  readonly count: number;
  readonly lendAfterMs?: number;
  readonly onChange: () => void;
}): Places {
  let [taken, lent] = [0, 0];
  const waiting: (() => void)[] = [];
  const inHand = Math.max(WAITING_MIN, Math.ceil(count * WAITING_SHARE));
  const giveBack = (): void => {
    const next = waiting.shift();
    // The place goes from hand to hand.
    if (next === undefined) taken -= 1;
    else next();
  };
  const lend = (): boolean => {
    if (lent >= count * LENT_PER_PLACE) return false;
    lent += 1;
    onChange();
    giveBack();
    return true;
  };
  return {
    wanted: () => count + lent + inHand,
    within: async (run) => {
      if (taken < count) taken += 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      let isLent = false;
      const timer = setInterval(() => {
        isLent ||= lend();
      }, lendAfterMs);
      try {
        return await run();
      } finally {
        clearInterval(timer);
        if (isLent) {
          lent -= 1;
          onChange();
        } else giveBack();
      }
    },
  };
}
