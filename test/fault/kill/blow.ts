import type { Moment } from './points.ts';

/** Into a transaction under way: from its first statement to some time after it is usually over. */
const DELAYS_MS = [0, 1, 2, 4, 8, 16, 32, 64] as const;
/** The statements of the commit's transaction, its own begin and commit among them. */
const STATEMENTS = [1, 2, 3, 4, 5, 6, 7] as const;
const SHARES = 100;

/** What a moment leaves open and the seed decides. */
export type Blow =
  | { readonly after: 'ms' | 'statements'; readonly count: number }
  | { readonly after: 'share'; readonly share: number }
  | { readonly after: 'nothing' };

/** Transactions are cut after some time or after some of their statements, requests after a share of their bytes, all else at once. */
export function blowOf({ moment, detail }: { readonly moment: Moment; readonly detail: number }): Blow {
  switch (moment) {
    case 'intent-under-way':
    case 'commit-under-way': {
      const after = detail % 2 === 0 ? 'ms' : 'statements';
      const counts = after === 'ms' ? DELAYS_MS : STATEMENTS;
      return { after, count: counts[Math.floor(detail / 2) % counts.length] ?? 0 };
    }
    case 'head-cut':
    case 'body-cut':
      return { after: 'share', share: (detail % SHARES) / SHARES };
    default:
      return { after: 'nothing' };
  }
}
