import type { Source, Sources } from '../../../src/core/ports/upstream.ts';
import type { Context } from '../../../src/flows/context.ts';

/** How long the only copy of a new pair was in memory: from the parsed reply to the acknowledged commit; null before there was one. */
export type Window = { readonly context: Context; readonly widthMs: () => number | null };

/** Measures it in a context that works on one authorization at a time. */
export function measureWindow(context: Context): Window {
  let repliedAt: number | null = null;
  let widthMs: number | null = null;
  const commitTokens: Context['store']['commitTokens'] = async (value) => {
    const result = await context.store.commitTokens(value);
    if (repliedAt !== null && result === 'committed') widthMs = performance.now() - repliedAt;
    return result;
  };
  const sources = withSource(context.sources, (source) => ({
    ...source,
    refresh: async (request) => {
      const reply = await source.refresh(request);
      repliedAt = performance.now();
      return reply;
    },
  }));
  return { context: { ...context, sources, store: { ...context.store, commitTokens } }, widthMs: () => widthMs };
}

/** The same sources, each changed. */
export function withSource(sources: Sources, change: (source: Source) => Source): Sources {
  return {
    ...sources,
    get: (name) => {
      const source = sources.get(name);
      return source === undefined ? undefined : change(source);
    },
  };
}
