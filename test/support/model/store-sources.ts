import { LIMITS } from '../../../src/core/limits.ts';
import type { SourceCondition } from '../../../src/core/ports/source-condition.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import { appendEvent, type Parts } from './store-tables.ts';

const GRAVITY: Readonly<Record<SourceCondition, number>> = { suspended: 2, outage: 1, throttled: 0 };

type SourceStates = Pick<Store, 'noteSource' | 'clearSource' | 'probeSources' | 'mayTrySource' | 'sourceStates'> &
  Pick<Store, 'sourceAbilities' | 'rememberAbilities'>;

/** How the token endpoints of the sources treat us. */
export function sourceStates(parts: Parts): SourceStates {
  const { tables } = parts;
  return {
    sourceAbilities: async (source) => tables.abilities.get(source) ?? null,
    rememberAbilities: async ({ source, ...known }) => void tables.abilities.set(source, known),
    noteSource: async (note) => noteSource({ parts, note }),
    clearSource: async ({ source, at }) => {
      const gone = tables.sources.get(source);
      tables.sources.delete(source);
      if (gone?.announced !== true) return;
      const event = { at, kind: 'source_recovered', authorizationId: null, source, reason: gone.condition } as const;
      appendEvent({ tables, event });
    },
    probeSources: async () => {
      for (const [source, state] of tables.sources) {
        if (state.condition === 'suspended') tables.sources.set(source, { ...state, probeAt: 0 });
      }
    },
    mayTrySource: async ({ source, at, everyMs }) => {
      const state = tables.sources.get(source);
      if (state?.condition !== 'suspended') return true;
      if (at < state.probeAt) return false;
      tables.sources.set(source, { ...state, probeAt: at + everyMs });
      return true;
    },
    sourceStates: async () => [...tables.sources.values()].sort((left, right) => (left.source < right.source ? -1 : 1)),
  };
}

/** What was announced gives way only to what is graver and announced itself. */
function noteSource({
  parts: { tables },
  note: { source, condition, at },
}: {
  readonly parts: Parts;
  readonly note: Parameters<Store['noteSource']>[0];
}): void {
  const before = tables.sources.get(source);
  const same = before?.condition === condition ? before : undefined;
  const failures = (same?.failures ?? 0) + 1;
  const due = condition !== 'outage' || failures >= LIMITS.outageAfterFailures;
  const announced = same?.announced ?? false;
  if (before !== undefined && same === undefined) {
    const graver = GRAVITY[condition] > GRAVITY[before.condition];
    if (due ? before.announced && !graver : before.announced || !graver) return;
  }
  const probeAt = condition === 'suspended' ? at + LIMITS.sourceProbeEveryMs : (before?.probeAt ?? 0);
  const since = same?.since ?? at;
  tables.sources.set(source, { source, condition, since, lastAt: at, failures, announced: announced || due, probeAt });
  if (announced || !due) return;
  const kind = `source_${condition}` as const;
  appendEvent({ tables, event: { at, kind, authorizationId: null, source, reason: null } });
}
