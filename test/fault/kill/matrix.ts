import type { Store } from '../../../src/core/ports/store.ts';
import { ALL_POINTS, ALL_POLICIES, isLosable } from './points.ts';
import { type Kill, killOnce, type Verdict } from './run.ts';
import type { Stage } from './stage.ts';

const EVENTS_PAGE = 500;

/** Every point against every upstream, once per seed; the seeds of one cell apart, so that a broken machine shows everywhere. */
export function everyKill({
  seeds,
  repairWithinMs,
}: {
  readonly seeds: number;
  readonly repairWithinMs: number;
}): readonly Kill[] {
  return Array.from({ length: seeds }, (_, seed) =>
    ALL_POINTS.flatMap((point) => ALL_POLICIES.map((policy) => ({ point, policy, seed, repairWithinMs }))),
  ).flat();
}

/** Kills `lanes` workers at a time; nearly all of a run is waiting for the dead one's lease. */
export async function killAll({
  stage,
  kills,
  lanes,
  told = () => undefined,
}: {
  readonly stage: Stage;
  readonly kills: readonly Kill[];
  readonly lanes: number;
  readonly told?: (verdict: Verdict) => void;
}): Promise<readonly Verdict[]> {
  const left = [...kills];
  const verdicts: Verdict[] = [];
  const lane = async (): Promise<void> => {
    for (let kill = left.shift(); kill !== undefined; kill = left.shift()) {
      const verdict = await killOnce({ stage, kill });
      verdicts.push(verdict);
      told(verdict);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return verdicts;
}

/** The verdicts that break a promise: a loss where none may be, or one that nobody was told of. */
export function brokenPromises(verdicts: readonly Verdict[]): readonly Verdict[] {
  return verdicts.filter(({ policy, point, outcome }) => {
    if (policy === 'D' && isLosable(point)) return outcome === 'silent';
    return outcome !== 'alive';
  });
}

/** The ids that the event feed has called for a new consent of. */
async function announced(store: Store): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (let after = 0; ; ) {
    const page = await store.events({ after, limit: EVENTS_PAGE });
    for (const { kind, authorizationId } of page) {
      if (kind === 'needs_reauthorization' && authorizationId !== null) ids.add(authorizationId);
    }
    const last = page.at(-1);
    if (last === undefined) return ids;
    after = last.cursor;
  }
}

/** Losses without their event. */
export async function unannounced({
  store,
  verdicts,
}: {
  readonly store: Store;
  readonly verdicts: readonly Verdict[];
}): Promise<readonly Verdict[]> {
  const ids = await announced(store);
  return verdicts.filter(({ outcome, id }) => outcome === 'ambiguous' && !ids.has(id));
}
