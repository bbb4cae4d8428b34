import { PerennialError } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import type { CommitResult, Store } from '../../../src/core/ports/store.ts';
import { release, renew } from './store-leases.ts';
import {
  appendEvent,
  applyPatch,
  assertMove,
  fenced,
  fencedBeforePurge,
  isAsKnown,
  type Parts,
} from './store-tables.ts';

type Tokens = Pick<
  Store,
  'tokens' | 'intent' | 'openIntent' | 'parkIntent' | 'closeIntent' | 'commitTokens' | 'reauthorize'
>;

/** Tokens and the intents to spend them. */
export function tokens(parts: Parts): Tokens {
  const { tables, now, watch } = parts;
  return {
    tokens: async (authorizationId) => tables.tokens.get(authorizationId) ?? null,
    intent: async (authorizationId) => tables.intents.get(authorizationId) ?? null,
    openIntent: async ({ intent, lease, ...fence }) =>
      fencedBeforePurge({ tables, fence }, () => {
        renew({ tables, now, lease: { ...fence, ...lease } });
        tables.intents.set(fence.authorizationId, intent);
        watch.intentOpened?.(intent);
        return 'committed';
      }),
    parkIntent: async ({ attemptId, unsure, unclearSince, ...fence }) =>
      fenced({ tables, fence }, () => {
        const intent = tables.intents.get(fence.authorizationId);
        if (intent?.attemptId === attemptId) {
          tables.intents.set(fence.authorizationId, { ...intent, unsure, unclearSince, parked: true });
        }
        return 'committed';
      }),
    closeIntent: async (fence) =>
      fenced({ tables, fence }, () => {
        tables.intents.delete(fence.authorizationId);
        return 'committed';
      }),
    commitTokens: async (value) => commitTokens({ parts, value }),
    reauthorize: async (value) => reauthorize({ parts, value }),
  };
}

type Commit = Parameters<Store['commitTokens']>[0];

function commitTokens({
  parts,
  value: { expectedVersion, tokens: next, patch, actor, plan, ...fence },
}: {
  readonly parts: Parts;
  readonly value: Commit;
}) {
  const { tables, now, watch } = parts;
  const { authorizationId } = fence;
  return fencedBeforePurge<CommitResult | 'planned'>({ tables, fence }, (row) => {
    const stored = storedOf({ parts, authorizationId, version: next.version, expectedVersion });
    if (stored.version !== expectedVersion) {
      // A commit whose answer was lost is offered again: the very same sealed bytes under our fence are ours.
      const same = stored.version === next.version && Buffer.compare(stored.sealed, next.sealed) === 0;
      return same ? 'committed' : 'superseded';
    }
    assertMove({ row, patch });
    tables.tokens.set(authorizationId, next);
    tables.intents.delete(authorizationId);
    const holds = plan !== undefined && isAsKnown({ row, asOf: plan.asOf });
    applyPatch({ parts, row, patch: holds ? { ...patch, ...plan.patch } : patch, actor });
    if (holds) release({ tables, now, lease: { ...fence, ...plan.release } });
    watch.tokensCommitted?.({ authorizationId, tokens: next });
    return holds ? 'planned' : 'committed';
  });
}

function reauthorize({
  parts,
  value: { expectedVersion, tokens: next, patch, fingerprint, actor, ...fence },
}: {
  readonly parts: Parts;
  readonly value: Parameters<Store['reauthorize']>[0];
}) {
  const { tables, watch } = parts;
  const { authorizationId } = fence;
  return fencedBeforePurge({ tables, fence }, (row) => {
    const stored = storedOf({ parts, authorizationId, version: next.version, expectedVersion });
    if (stored.version !== expectedVersion) return 'superseded';
    assertMove({ row, patch });
    const { state, source } = row.authorization;
    const known = row.fingerprint === null ? row.earlier : [...row.earlier, row.fingerprint];
    row.earlier = known.slice(-LIMITS.earlierFingerprintsMax);
    row.fingerprint = fingerprint;
    tables.tokens.set(authorizationId, next);
    tables.intents.delete(authorizationId);
    applyPatch({ parts, row, patch, actor });
    watch.tokensCommitted?.({ authorizationId, tokens: next });
    if (state === 'active' && patch.state === 'active') {
      const at = patch.acceptedAt ?? 0;
      appendEvent({ tables, event: { at, kind: 'repaired', authorizationId, source, reason: 'reauthorized' } });
    }
    return 'committed';
  });
}

/** @throws PerennialError `internal` for a version that does not follow the expected one. */
function storedOf({
  parts: { tables },
  authorizationId,
  version,
  expectedVersion,
}: {
  readonly parts: Parts;
  readonly authorizationId: string;
  readonly version: number;
  readonly expectedVersion: number;
}): { readonly version: number; readonly sealed: Uint8Array } {
  if (version !== expectedVersion + 1) throw new PerennialError('internal', { field: 'token version' });
  return tables.tokens.get(authorizationId) ?? { version: Number.NaN, sealed: new Uint8Array() };
}
