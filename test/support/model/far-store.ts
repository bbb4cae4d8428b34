import type { Store } from '../../../src/core/ports/store.ts';

/** Makes a call to something that lies apart from the process: it takes time to get there, and its answer to come back. */
export type Far = <R>(name: keyof Store, effect: () => Promise<R>) => Promise<R>;

/** A store as one process sees it. */
export function farStore({ store, far }: { readonly store: Store; readonly far: Far }): Store {
  const via =
    <A extends readonly unknown[], R>(name: keyof Store, method: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      far(name, () => method(...args));
  return {
    ...store,
    get: via('get', store.get),
    update: via('update', store.update),
    takeLease: via('takeLease', store.takeLease),
    seizeLease: via('seizeLease', store.seizeLease),
    renewLease: via('renewLease', store.renewLease),
    releaseLease: via('releaseLease', store.releaseLease),
    tokens: via('tokens', store.tokens),
    intent: via('intent', store.intent),
    openIntent: via('openIntent', store.openIntent),
    parkIntent: via('parkIntent', store.parkIntent),
    closeIntent: via('closeIntent', store.closeIntent),
    commitTokens: via('commitTokens', store.commitTokens),
    manifests: via('manifests', store.manifests),
    recordsNow: via('recordsNow', store.recordsNow),
    pack: via('pack', store.pack),
    commitRecords: via('commitRecords', store.commitRecords),
    orphanIntents: via('orphanIntents', store.orphanIntents),
    overdueRuns: via('overdueRuns', store.overdueRuns),
    awaitsRun: via('awaitsRun', store.awaitsRun),
    duePurges: via('duePurges', store.duePurges),
    dueWarnings: via('dueWarnings', store.dueWarnings),
    noteSource: via('noteSource', store.noteSource),
    clearSource: via('clearSource', store.clearSource),
    sourceStates: via('sourceStates', store.sourceStates),
    mayTrySource: via('mayTrySource', store.mayTrySource),
    warn: via('warn', store.warn),
    warnedAt: via('warnedAt', store.warnedAt),
  };
}
