import { backoffMs } from '../../core/cadence.ts';
import { ERRORS } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import { TROUBLE_CODES } from '../../core/retry.ts';
import { PURPOSES } from './random.ts';
import type { TROUBLES } from './state.ts';
import { draw, type Turn, wakeAt } from './turn.ts';

/** How long a refresh that failed keeps its authorization waiting, and why. */
export type Wait = { readonly ms: number; readonly trouble: (typeof TROUBLES)[number] };

/** A run without a new token comes back when its trouble says. */
export function putBackFor({ turn, wait }: { readonly turn: Turn; readonly wait: Wait }): void {
  const isHinted = ERRORS[TROUBLE_CODES[wait.trouble]].retry === 'after_hint';
  comeBack({ turn, waitMs: wait.ms, isHinted });
}

/** A closed gate gives a run its place in the line; it has not failed. */
export function putBackFromGate(turn: Turn, retryAfterMs: number): void {
  comeBack({ turn, waitMs: retryAfterMs, isHinted: ERRORS.gate_closed.retry === 'after_hint' });
}

/** A pull that failed comes back after a doubled and spread wait. */
export function putBack(turn: Turn): void {
  const { group, member } = turn;
  const failures = group.members.failedRuns[member] ?? 0;
  comeBack({
    turn,
    waitMs: backoffMs({ failures, random: draw({ group, member, purpose: PURPOSES.backoff }) }),
    isHinted: false,
  });
}

/** As `flows/put-back.ts` has it: a wait that ends behind the next slot is left to that one. */
function comeBack({
  turn: { group, member, now, seen, slot },
  waitMs,
  isHinted,
}: {
  readonly turn: Turn;
  readonly waitMs: number;
  readonly isHinted: boolean;
}): void {
  const { members } = group;
  const failures = members.failedRuns[member] ?? 0;
  if (!isHinted) members.failedRuns[member] = Math.min(255, failures + 1);
  const at = Math.min(slot, seen + Math.min(waitMs, LIMITS.retryAfterMaxMs));
  members.nextRunAt[member] = at;
  wakeAt({ group, member, at: at - seen + now });
}
