import type { TypeState } from '../core/pull-state.ts';

/** How each resource type ended in one pull, also those that were not asked for by name; `full` where it was read from its beginning. */
export type Endings = {
  readonly of: (type: string) => Pick<TypeState, 'result'> & { readonly full: boolean };
};
