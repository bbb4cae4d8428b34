/** One measurement: ours beside what it is compared with, in the same run. `ratio` is how many times better ours is. */
export type Figure = {
  readonly name: string;
  readonly ours: number;
  readonly base: number;
  readonly unit: string;
  readonly ratio: number;
  /** The least ratio that we promise; null where we only look. */
  readonly goal: number | null;
};
