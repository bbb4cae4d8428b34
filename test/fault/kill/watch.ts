import type { CommitResult } from '../../../src/core/ports/store.ts';
import type { Context } from '../../../src/flows/context.ts';

/** The same context, and when an attempt was closed through it: by a new pair, or by a verdict. */
export function watchAttempts(context: Context): {
  readonly context: Context;
  readonly closedAt: (authorizationId: string) => number | null;
} {
  const closed = new Map<string, number>();
  const noting =
    <Value extends { readonly authorizationId: string }, Result extends CommitResult | 'planned'>(
      write: (value: Value) => Promise<Result>,
    ) =>
    async (value: Value): Promise<Result> => {
      const result = await write(value);
      if (result !== 'superseded' && !closed.has(value.authorizationId)) closed.set(value.authorizationId, Date.now());
      return result;
    };
  const { store } = context;
  return {
    context: {
      ...context,
      store: { ...store, commitTokens: noting(store.commitTokens), closeIntent: noting(store.closeIntent) },
    },
    closedAt: (authorizationId) => closed.get(authorizationId) ?? null,
  };
}
