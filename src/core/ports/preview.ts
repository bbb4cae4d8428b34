import type { PlannedRow } from '../plan-load.ts';

/** What a preview of the load asks of the store. */
export type PreviewStore = {
  /** The standing authorizations that repeat, with what their runs follow from and nothing else; in the order of their ids, after one of them. */
  readonly standing: (page: {
    readonly after: string | null;
    readonly limit: number;
  }) => Promise<readonly PlannedRow[]>;
};
