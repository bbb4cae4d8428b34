import type { GateAnswer, GatePart } from '../../core/breaker.ts';
import { noteAnswer } from '../../core/gate.ts';
import { UNITS } from '../../core/limits.ts';
import { GATE_RULES } from './doors.ts';
import { isIn } from './faults.ts';
import { PURPOSES } from './random.ts';
import { START } from './settings.ts';
import { DELAYS } from './state.ts';
import { draw, type Turn } from './turn.ts';

const { MINUTE_MS, DAY_MS } = UNITS;
/** A throttled endpoint turns half of its requests away, and names a time. */
const TURNED_AWAY_SHARE = 0.5;
const RETRY_AFTER_MS = 10 * MINUTE_MS;

export type RefreshAnswer =
  | { readonly kind: 'granted' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'trouble'; readonly trouble: 'outage' | 'throttled'; readonly hintMs: number | null };

const GRANTED: RefreshAnswer = { kind: 'granted' };
const AWAY: RefreshAnswer = { kind: 'trouble', trouble: 'outage', hintMs: null };
const THROTTLED: RefreshAnswer = { kind: 'trouble', trouble: 'throttled', hintMs: RETRY_AFTER_MS };

/** What the token endpoint says; its gate hears it too. A refresh token that has ended is refused. */
export function refreshAnswer(turn: Turn): RefreshAnswer {
  const { group, member, now } = turn;
  const answer = answerOf({ turn, failShare: group.faults.refreshFailShare, purpose: PURPOSES.refreshFails });
  noteRequests({ turn, requests: 1 });
  note({ turn, part: 'tokens', answer });
  if (answer.kind === 'failed') return AWAY;
  if (answer.kind === 'throttled') return THROTTLED;
  return now >= (group.members.refreshExpiresAt[member] ?? 0) ? { kind: 'refused' } : GRANTED;
}

/** How a pull ends: with all its pages, or at its first one. */
export function pullAnswer(turn: Turn): 'complete' | 'failed' {
  const { group, member, endpoint } = turn;
  const answer = answerOf({ turn, failShare: group.faults.pullFailShare, purpose: PURPOSES.pullFails });
  const isWell = answer.kind === 'answered';
  noteRequests({ turn, requests: isWell ? endpoint.requestsPerPull : 1 });
  note({ turn, part: 'pages', answer });
  if (!isWell) group.members.delayed[member] = DELAYS.upstream;
  return isWell ? 'complete' : 'failed';
}

const ANSWERED: GateAnswer = { kind: 'answered' };
const FAILED: GateAnswer = { kind: 'failed' };
const TURNED_AWAY: GateAnswer = { kind: 'throttled', waitMs: RETRY_AFTER_MS };

function answerOf({
  turn: { group, member, endpoint, now },
  failShare,
  purpose,
}: {
  readonly turn: Turn;
  readonly failShare: number;
  readonly purpose: number;
}): GateAnswer {
  const at = now - START;
  const { outages, throttled } = endpoint.weather;
  if (outages.length > 0 && isIn(outages, at)) return FAILED;
  const chance = draw({ group, member, purpose });
  if (throttled.length > 0 && isIn(throttled, at) && chance < TURNED_AWAY_SHARE) return TURNED_AWAY;
  return chance > 1 - failShare ? FAILED : ANSWERED;
}

function note({
  turn: { endpoint, now },
  part,
  answer,
}: {
  readonly turn: Turn;
  readonly part: GatePart;
  readonly answer: GateAnswer;
}): void {
  endpoint.gate = noteAnswer({ state: endpoint.gate, rules: GATE_RULES, now, part, answer, sentAt: now });
}

function noteRequests({
  turn: { group, endpoint, now },
  requests,
}: {
  readonly turn: Turn;
  readonly requests: number;
}): void {
  const day = Math.floor((now - START) / DAY_MS);
  const place = endpoint.place * group.settings.days + day;
  group.figures.requests[place] = (group.figures.requests[place] ?? 0) + requests;
}
