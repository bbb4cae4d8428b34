import { describe, expect, test } from 'vitest';
import { UNITS } from '../../src/core/limits.ts';
import type { Found, Held } from '../../src/core/ports/census.ts';
import {
  decideFound,
  decideRepairs,
  type Plan,
  REPAIR_REASONS,
  type RepairReason,
  wantedOf,
} from '../../src/core/reconcile.ts';
import { slotOf } from '../../src/core/slot.ts';

const { HOUR_MS, MINUTE_MS } = UNITS;
const NOW = 1_800_000_000_000;
const EVERY = 6 * HOUR_MS;
const ID = 'a-1';
const PHASE = 0.4;
const SLOT = slotOf({ id: ID, everyMs: EVERY, phase: PHASE, now: NOW });

const standing: Plan = {
  id: ID,
  state: 'active',
  usage: 'MULTIPLE',
  periodMs: EVERY,
  phase: PHASE,
  nextRunAt: SLOT.next,
  purgeDueAt: null,
  fetchedAt: null,
  atEnd: null,
  upstreamEnd: null,
};
const well: Held = {
  scheduler: SLOT,
  pending: { kind: 'delayed', wakesAt: SLOT.next },
  jobs: [],
};
const nothing: Held = { scheduler: null, pending: { kind: 'gone' }, jobs: [] };
const once = `once.${ID}`;

function wanted(differences: Partial<Plan> = {}) {
  const plan = { ...standing, ...differences };
  return wantedOf({ plan, slot: SLOT, toWall: (instant) => instant, now: NOW });
}
const reasonsOf = (plan: Partial<Plan>, held: Held) =>
  decideRepairs({ wanted: wanted(plan), held, now: NOW }).map(({ reason }) => reason);

describe('what the queue lacks of an authorization', () => {
  test.each<[string, Partial<Plan>, Partial<Held>, readonly RepairReason[]]>([
    ['nothing, where all is as it should be', {}, {}, []],
    ['its scheduler', {}, nothing, ['no_scheduler']],
    ['the pending run', {}, { pending: { kind: 'gone' } }, ['no_pending_job']],
    ['the right period', {}, { scheduler: { ...SLOT, every: EVERY / 2 } }, ['other_period']],
    ['its own phase', {}, { scheduler: { ...SLOT, offset: SLOT.offset + 1 } }, ['other_phase']],
    ['slots that are of its phase', {}, { scheduler: { ...SLOT, next: SLOT.next + MINUTE_MS } }, ['other_phase']],
    [
      'a pending run at the slot',
      {},
      { pending: { kind: 'delayed', wakesAt: SLOT.next + MINUTE_MS } },
      ['pending_at_wrong_time'],
    ],
    [
      'a slot within a period',
      {},
      { scheduler: { ...SLOT, next: SLOT.next + EVERY }, pending: { kind: 'delayed', wakesAt: SLOT.next + EVERY } },
      ['pending_at_wrong_time'],
    ],
    [
      'a place in a list, where it is said to wait before its time',
      {},
      { pending: { kind: 'here' } },
      ['pending_at_wrong_time'],
    ],
    [
      'nothing, while its pending run is with a worker',
      {},
      { scheduler: { ...SLOT, next: SLOT.next - EVERY }, pending: { kind: 'here' } },
      [],
    ],
    [
      'nothing, while its pending run is past due after downtime',
      { nextRunAt: SLOT.next - EVERY },
      { scheduler: { ...SLOT, next: SLOT.next - EVERY }, pending: { kind: 'delayed', wakesAt: SLOT.next - EVERY } },
      [],
    ],
    ['a run before the next slot', { nextRunAt: NOW + 5 * MINUTE_MS }, {}, ['no_run_job']],
    [
      'nothing, where such a run was put back',
      { nextRunAt: NOW + 5 * MINUTE_MS },
      { jobs: [{ queue: 'refresh-and-pull', jobId: 'x', wakesAt: NOW + 5 * MINUTE_MS }] },
      [],
    ],
    [
      'nothing, where a job waits for a worker',
      { nextRunAt: NOW + 5 * MINUTE_MS },
      { jobs: [{ queue: 'refresh-and-pull', jobId: once, wakesAt: null }] },
      [],
    ],
    [
      'a run before the next slot, where another wakes after it',
      { nextRunAt: NOW + 5 * MINUTE_MS },
      { jobs: [{ queue: 'refresh-and-pull', jobId: once, wakesAt: NOW + HOUR_MS }] },
      ['no_run_job'],
    ],
    [
      'both, where the run that was to come was lost with its scheduler',
      { nextRunAt: NOW + 5 * MINUTE_MS },
      nothing,
      ['no_scheduler', 'no_run_job'],
    ],
    ['no run that is overdue: the catch-up plans those', { nextRunAt: NOW - HOUR_MS }, {}, []],
    ['the exchange', { state: 'pending', periodMs: null }, nothing, ['no_activate_job']],
    [
      'nothing, where the exchange has failed for a person to see',
      { state: 'pending', periodMs: null },
      { ...nothing, jobs: [{ queue: 'activate', jobId: once, wakesAt: null }] },
      [],
    ],
    ['the one fetch', { usage: 'ONE_TIME', periodMs: null }, nothing, ['no_fetch_job']],
    [
      'no fetch that waits for its purge alone: each try would be a request more',
      { usage: 'ONE_TIME', periodMs: null, nextRunAt: NOW + HOUR_MS, purgeDueAt: NOW + HOUR_MS },
      { ...nothing, jobs: [{ queue: 'purge', jobId: once, wakesAt: NOW + HOUR_MS }] },
      [],
    ],
    ['nothing, where the one fetch is done', { usage: 'ONE_TIME', periodMs: null, fetchedAt: NOW }, nothing, []],
    [
      'the end at the source after the fetch',
      { usage: 'ONE_TIME', periodMs: null, fetchedAt: NOW, atEnd: 'revoke' },
      nothing,
      ['no_fetch_job'],
    ],
    [
      'its purge',
      { usage: 'ONE_TIME', periodMs: null, fetchedAt: NOW, purgeDueAt: NOW + HOUR_MS },
      nothing,
      ['no_purge_job'],
    ],
    [
      'its purge in time',
      { state: 'needs_reauthorization', purgeDueAt: NOW + HOUR_MS },
      { ...nothing, jobs: [{ queue: 'purge', jobId: once, wakesAt: NOW + 2 * HOUR_MS }] },
      ['purge_at_wrong_time'],
    ],
    [
      'no purge that is overdue: the sweep does those',
      { state: 'needs_reauthorization', purgeDueAt: NOW - 1 },
      nothing,
      [],
    ],
    ['nothing, once it needs its patient', { state: 'needs_reauthorization' }, nothing, []],
    ['nothing, once it is suspended', { state: 'suspended' }, nothing, []],
    ['nothing, once it is purged', { state: 'purged', purgeDueAt: NOW + HOUR_MS }, nothing, []],
  ])('is %s', (_what, plan, held, reasons) => {
    expect(reasonsOf(plan, { ...well, ...held })).toEqual(reasons);
  });

  test('a restored scheduler has the period and phase of the store, and what is added its own time', () => {
    const [restore] = decideRepairs({ wanted: wanted(), held: nothing, now: NOW });
    expect(restore).toEqual(
      expect.objectContaining({ kind: 'restore', authorizationId: ID, periodMs: EVERY, phase: PHASE }),
    );
    const purge = wanted({ state: 'needs_reauthorization', purgeDueAt: NOW + HOUR_MS });
    expect(decideRepairs({ wanted: purge, held: nothing, now: NOW })).toEqual([
      { kind: 'add', queue: 'purge', at: NOW + HOUR_MS, authorizationId: ID, reason: 'no_purge_job' },
    ]);
    const waits = wanted({ usage: 'ONE_TIME', periodMs: null, nextRunAt: NOW + MINUTE_MS });
    expect(decideRepairs({ wanted: waits, held: nothing, now: NOW })).toEqual([
      { kind: 'add', queue: 'fetch-once', at: NOW + MINUTE_MS, authorizationId: ID, reason: 'no_fetch_job' },
    ]);
  });
});

describe('what the queue holds too much', () => {
  const scheduler: Found = { kind: 'scheduler', authorizationId: ID };
  const job = (differences: Partial<Extract<Found, { kind: 'job' }>> = {}): Found => ({
    kind: 'job',
    authorizationId: ID,
    queue: 'refresh-and-pull',
    jobId: once,
    wakesAt: NOW + HOUR_MS,
    own: false,
    ...differences,
  });
  test.each<[string, Found, Partial<Plan> | null, string | null]>([
    ['a scheduler of a standing one stays', scheduler, {}, null],
    [
      'a scheduler of one that needs its patient goes',
      scheduler,
      { state: 'needs_reauthorization' },
      'unschedule not_standing',
    ],
    ['a scheduler of a ONE_TIME one goes', scheduler, { usage: 'ONE_TIME' }, 'unschedule not_standing'],
    ['a scheduler of nobody goes with all that names it', scheduler, null, 'forget not_standing'],
    ['a scheduler of a purged one goes with all that names it', scheduler, { state: 'purged' }, 'forget not_standing'],
    ['its own pending run stays', job({ own: true }), {}, null],
    ['a second run at its slot goes', job({ wakesAt: SLOT.next }), {}, 'drop pending_twice'],
    ['a second run that wakes in a moment decides for itself', job({ wakesAt: NOW + MINUTE_MS }), {}, null],
    [
      'a run for a plan before the slot stays',
      job({ wakesAt: NOW + 5 * MINUTE_MS }),
      { nextRunAt: NOW + 5 * MINUTE_MS },
      null,
    ],
    ['a run of one that is suspended goes', job(), { state: 'suspended' }, 'drop nothing_to_do'],
    ['a job of nobody goes with all that names it', job(), null, 'forget nothing_to_do'],
    ['an exchange of a pending one stays', job({ queue: 'activate' }), { state: 'pending' }, null],
    ['an exchange of an active one goes', job({ queue: 'activate' }), {}, 'drop nothing_to_do'],
    [
      'a fetch of a fetched one goes',
      job({ queue: 'fetch-once' }),
      { usage: 'ONE_TIME', fetchedAt: NOW },
      'drop nothing_to_do',
    ],
    ['a purge with a deadline stays', job({ queue: 'purge' }), { state: 'suspended', purgeDueAt: NOW + HOUR_MS }, null],
    ['a purge under way stays', job({ queue: 'purge' }), { state: 'purging' }, null],
    ['a purge without a deadline goes', job({ queue: 'purge' }), {}, 'drop nothing_to_do'],
  ])('%s', (_what, found, plan, expected) => {
    const repair = decideFound({ found, wanted: plan === null ? null : wanted(plan), now: NOW });
    expect(repair === null ? null : `${repair.kind} ${repair.reason}`).toBe(expected);
  });
});

test('every reason counts as one of five kinds of drift', () => {
  expect(new Set(Object.values(REPAIR_REASONS))).toEqual(
    new Set(['missing', 'extra', 'stale', 'misphased', 'duplicate']),
  );
});
