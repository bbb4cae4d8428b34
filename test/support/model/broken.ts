import type { Fence, Store } from '../../../src/core/ports/store.ts';
import type { Tables } from './store-tables.ts';
import type { Variant } from './worker.ts';

/** How long a write lies in memory before it is durable, in the worker that saves after it used. */
const WRITE_BEHIND_MS = 1_000;

/** Workers that break one rule of the refresh each, and what a schedule has to find of it. */
export const BROKEN: Readonly<Record<string, { readonly variant: Variant; readonly finds: RegExp }>> = {
  'a lock without owner and fence': {
    variant: { store: ({ store, tables }) => withoutOwners(store, tables) },
    finds: /spent twice|superseded token|without its intent|without need|no successor/,
  },
  'no intent': {
    variant: {
      store: ({ store }) => ({
        ...store,
        openIntent: async () => 'committed',
        intent: async () => null,
        orphanIntents: async () => [],
      }),
    },
    finds: /without its intent/,
  },
  'a pair that is used before it is stored': {
    variant: {
      store: ({ store, process, timeline }) => ({
        ...store,
        commitTokens: async (value) => {
          timeline.at(timeline.now() + WRITE_BEHIND_MS, () =>
            process.deliver(() => void store.commitTokens(value).catch(() => {})),
          );
          return 'committed';
        },
      }),
    },
    finds: /not committed/,
  },
  'a client that posts again by itself': {
    variant: {
      source: (source) => ({
        ...source,
        refresh: async (request) => {
          const reply = await source.refresh(request);
          return reply.kind === 'no_reply' && reply.sent ? source.refresh(request) : reply;
        },
      }),
    },
    finds: /spent twice/,
  },
  'a sender that is not asked once the connection stands': {
    variant: {
      source: (source) => ({
        ...source,
        refresh: (request) => source.refresh({ ...request, mayStillSend: () => true }),
      }),
    },
    finds: /superseded token|without its intent|after the stop/,
  },
  'a commit that does not compare versions': {
    variant: { store: ({ store, tables }) => withoutComparing(store, tables) },
    finds: /no successor|became/,
  },
};

/** Whoever releases, releases; whoever renews, renews; and every write is taken for the newest holder's. */
function withoutOwners(store: Store, tables: Tables): Store {
  const newest = ({ authorizationId }: { readonly authorizationId: string }): Fence => ({
    authorizationId,
    fence: tables.leases.get(authorizationId)?.fence ?? 0,
  });
  const ownerOf = ({ authorizationId }: { readonly authorizationId: string }): string =>
    tables.leases.get(authorizationId)?.owner ?? '';
  return {
    ...store,
    renewLease: (lease) => store.renewLease({ ...lease, ...newest(lease), owner: ownerOf(lease) }),
    releaseLease: (lease) => store.releaseLease({ ...newest(lease), owner: ownerOf(lease) }),
    openIntent: (value) => store.openIntent({ ...value, ...newest(value) }),
    parkIntent: (value) => store.parkIntent({ ...value, ...newest(value) }),
    closeIntent: (value) => store.closeIntent(newest(value)),
    commitTokens: (value) => store.commitTokens({ ...value, ...newest(value) }),
    update: (value) => store.update({ ...value, ...newest(value) }),
  };
}

/** Neither the fence nor the version says who may write: the last one does. */
function withoutComparing(store: Store, tables: Tables): Store {
  const { commitTokens } = withoutOwners(store, tables);
  return {
    ...store,
    commitTokens: (value) => {
      const stored = tables.tokens.get(value.authorizationId);
      if (stored === undefined || value.tokens.version !== value.expectedVersion + 1) return commitTokens(value);
      tables.tokens.set(value.authorizationId, { ...stored, version: value.expectedVersion });
      return commitTokens(value);
    },
  };
}
