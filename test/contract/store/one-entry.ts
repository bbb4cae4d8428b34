import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mayMove, STATES, type State } from '../../../src/core/authorization.ts';
import type { Fence, Store } from '../../../src/core/ports/store.ts';
import { ACTOR, inserted, LONG_LEASE_MS, NOW, receiptOf, tokensOf, type Use } from './samples.ts';

/** What a flow may do to an authorization that can move its state. */
type Step =
  | {
      readonly kind: 'update' | 'commitTokens' | 'reauthorize';
      readonly to: State | null;
      readonly reason: number | null;
      readonly stale: boolean;
    }
  | { readonly kind: 'deleteRows' | 'finishPurge'; readonly stale: boolean }
  | { readonly kind: 'read' };

const REASONS = ['revoked', 'paused_by_operator', 'exchanged'] as const;
const stale = fc.integer({ min: 0, max: 9 }).map((die) => die === 0);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('update', 'commitTokens', 'reauthorize'),
      to: fc.option(fc.constantFrom(...STATES), { freq: 4 }),
      reason: fc.option(fc.nat({ max: REASONS.length - 1 })),
      stale,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('deleteRows', 'finishPurge'), stale }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'read' } as const) },
);
/** Half of them end in a purge, however they went on before. */
const steps = fc
  .tuple(fc.array(step, { minLength: 1, maxLength: 8 }), fc.boolean())
  .map(([before, purged]): readonly Step[] => {
    const end = { stale: false } as const;
    const purge: readonly Step[] = [
      { kind: 'update', to: 'purging', reason: null, ...end },
      { kind: 'deleteRows', ...end },
      { kind: 'finishPurge', ...end },
      { kind: 'finishPurge', ...end },
    ];
    return purged ? [...before, ...purge] : before;
  });

const RUNS = process.env['PERENNIAL_SOAK'] === '1' ? 500 : 12;

export function oneEntryContract(use: Use): void {
  describe('the audit trail of any history', () => {
    test('has exactly one entry for each change of state, in its order, and none for what changed nothing', async () => {
      await fc.assert(
        fc.asyncProperty(steps, async (history) => {
          const { expected, told } = await played({ store: use().store, subject: use().store, history });
          expect(told).toStrictEqual(expected);
        }),
        { numRuns: RUNS },
      );
    });

    test.each([
      ['forgets the entry of a purge', forgetting('finishPurge')],
      ['forgets the entry of a move', forgetting('update')],
      ['writes an entry for every write', telling],
    ])('control: a store that %s is seen', async (_what, broken) => {
      const { store } = use();
      const history: readonly Step[] = [
        { kind: 'update', to: null, reason: null, stale: false },
        { kind: 'update', to: 'suspended', reason: 1, stale: false },
        { kind: 'update', to: 'purging', reason: null, stale: false },
        { kind: 'finishPurge', stale: false },
      ];
      const { expected, told } = await played({ store, subject: broken(store), history });
      expect(told).not.toStrictEqual(expected);
    });
  });
}

/** Plays a history on `subject`, looks at each state change with the store itself, and gives what the trail should say beside what it says. */
async function played({
  store,
  subject,
  history,
}: {
  readonly store: Store;
  readonly subject: Store;
  readonly history: readonly Step[];
}): Promise<{ readonly expected: readonly string[]; readonly told: readonly string[] }> {
  const id = await inserted(store);
  const fence = await store.seizeLease({ authorizationId: id, owner: ACTOR, leaseMs: LONG_LEASE_MS });
  const expected = ['accepted accepted'];
  for (const one of history) {
    const before = await store.get(id);
    await attempt({ store: subject, fence, step: one });
    const after = await store.get(id);
    if (before === null || after === null) throw new Error('the authorization is lost');
    const isMoved = before.state !== after.state || before.stateReason !== after.stateReason;
    if (isMoved) expected.push(`state:${after.state} ${after.stateReason}`);
  }
  const trail = await subject.auditOf(id);
  const told = trail.filter(({ action }) => action !== 'read').map(({ action, reason }) => `${action} ${reason}`);
  return { expected, told };
}

/** Does one step as its caller would; what the state machine refuses, it refuses. */
async function attempt({
  store,
  fence,
  step: one,
}: {
  readonly store: Store;
  readonly fence: Fence;
  readonly step: Step;
}): Promise<void> {
  const { authorizationId } = fence;
  if (one.kind === 'read') {
    await store.appendAudit({ at: NOW, authorizationId, actor: ACTOR, action: 'read', reason: null });
    return;
  }
  const held = { ...fence, fence: fence.fence - (one.stale ? 1 : 0) };
  const from = (await store.get(authorizationId))?.state ?? 'purged';
  try {
    await write({ store, held, from, step: one });
  } catch (error) {
    expect(error).toMatchObject({ code: 'internal' });
  }
}

async function write({
  store,
  held,
  from,
  step: one,
}: {
  readonly store: Store;
  readonly held: Fence;
  readonly from: State;
  readonly step: Exclude<Step, { readonly kind: 'read' }>;
}): Promise<unknown> {
  if (!('to' in one)) {
    if (one.kind === 'deleteRows') return store.deleteRows(held);
    return store.finishPurge({ ...held, receipt: receiptOf(held.authorizationId), actor: ACTOR });
  }
  const { to, reason } = one;
  // A purge ends with its receipt alone; nothing else writes that state.
  const isMove = to !== null && to !== 'purged' && (to === from || mayMove({ from, to }));
  const stateReason = reason === null ? undefined : REASONS[reason];
  const patch = {
    failedRuns: 1,
    ...(isMove ? { state: to } : {}),
    ...(stateReason === undefined ? {} : { stateReason }),
  };
  if (one.kind === 'update') return store.update({ ...held, patch, actor: ACTOR });
  const expectedVersion = (await store.tokens(held.authorizationId))?.version ?? 1;
  const next = { ...held, expectedVersion, tokens: tokensOf(expectedVersion + 1), patch, actor: ACTOR };
  return one.kind === 'commitTokens' ? store.commitTokens(next) : store.reauthorize({ ...next, fingerprint: 'next' });
}

/** A store whose trail lacks the newest entry of one kind of write. */
function forgetting(write: 'finishPurge' | 'update'): (store: Store) => Store {
  const action = write === 'finishPurge' ? 'state:purged' : 'state:suspended';
  return (store) => ({
    ...store,
    auditOf: async (id) => (await store.auditOf(id)).filter((entry) => entry.action !== action),
  });
}

/** A store that tells of writes which changed no state. */
function telling(store: Store): Store {
  return {
    ...store,
    update: async (value) => {
      const { authorizationId } = value;
      await store.appendAudit({ at: NOW, authorizationId, actor: ACTOR, action: 'state:active', reason: 'exchanged' });
      return store.update(value);
    },
  };
}
