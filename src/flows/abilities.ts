import { codeOf } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { Abilities } from '../core/pull-state.ts';
import type { Work } from './work.ts';

/**
 * What the source's searches can do, as its CapabilityStatement says: asked once a week for a whole endpoint and remembered for all its patients. A source
 * that does not say, or whose changes are not to be asked for, gives null: then everything is read from the beginning.
 */
export async function abilitiesOf({ work }: { readonly work: Work }): Promise<Abilities | null> {
  const { context, source, held } = work;
  const { store, clock, log } = context;
  if (!source.incremental) return null;
  const now = clock.now();
  const known = await store.sourceAbilities(source.name);
  if (known !== null && now - known.learnedAt < LIMITS.abilitiesFreshMs) return known.abilities;
  try {
    const told = await source.abilities({ signal: held.signal });
    // Old knowledge is better than none while the source is away.
    if (told === null) return known?.abilities ?? null;
    await store.rememberAbilities({ source: source.name, learnedAt: now, abilities: told });
    return told;
  } catch (error) {
    log.warn('abilities_not_learned', { source: source.name, code: codeOf(error) });
    return known?.abilities ?? null;
  }
}
