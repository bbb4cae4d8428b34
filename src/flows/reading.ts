import type { Secret } from '../core/secret.ts';
import type { Ownership } from './ownership.ts';
import type { RecordWriter } from './record-writer.ts';
import type { Work } from './work.ts';

/** Asks for an access token; `rejected` when the source has just refused the one given before. Null ends the pull. */
export type TokenGiver = (request: { readonly rejected: boolean }) => Promise<Secret | null>;

/** What one pull reads with, and how far it has come. */
export type Reading = {
  readonly work: Work;
  readonly writer: RecordWriter;
  readonly ownership: Ownership;
  readonly giveToken: TokenGiver;
  readonly progress: { pages: number; bytes: number; waits: number };
  /** Entries that were not stored, by name of the reason. */
  readonly refused: Record<string, number>;
};

/** What one request's pages have told so far: a page that is not whole says so by its total, a bad entry or an issue among its entries. */
export type Tally = { entries: number; total: number; faulty: boolean };

/** Counts entries that were not stored, by name of the reason. */
export function count({ refused }: Reading, reason: string, times = 1): void {
  refused[reason] = (refused[reason] ?? 0) + times;
}
