import { describe, expect, test } from 'vitest';
import type { AuthorizationView, ChangeView } from '../../src/contract/wire.ts';
import type { Row } from '../../src/main/demo/sandbox-control.ts';
import { CAST, type Part, type Role } from '../../src/main/demo/scenario.ts';
import { type Evidence, hashOfRecords, judge } from '../../src/main/demo/verdict.ts';

const NOW = '2026-07-01T12:00:00.000Z';
const SHA256 = 'a'.repeat(64);
const ERASED: readonly Role[] = ['one_time', 'fallback', 'ended_by_caller'];
const FRESH: readonly Role[] = ['kept_fresh', 'throttled', 'lost_reply', 'first_sync_running'];

type Breaking = readonly [promise: RegExp, roles: readonly Role[], change: (evidence: Evidence) => Evidence];

/** One way to break each promise that the demo makes of one authorization. */
const BREAKINGS: readonly Breaking[] = [
  [/alive here and at the source/, FRESH, (it) => ({ ...it, view: { ...it.view, state: 'needs_reauthorization' } })],
  [/alive here and at the source/, FRESH, (it) => ({ ...it, row: { ...it.row, alive: false } })],
  [/byte for byte/, FRESH, (it) => ({ ...it, recordsSha256: 'b'.repeat(64) })],
  [/byte for byte/, FRESH, (it) => ({ ...it, recordsSha256: null })],
  [/never older than/, FRESH, (it) => ({ ...it, worstAge: { ageSeconds: 86_401, promiseSeconds: 86_400 } })],
  [/refreshed each virtual day/, FRESH, (it) => ({ ...it, row: { ...it.row, refreshes: 1 } })],
  [
    /no refresh token spent twice/,
    FRESH,
    (it) => ({ ...it, row: { ...it.row, reusedRefreshTokens: it.row.reusedRefreshTokens + 1 } }),
  ],
  [/erased, and reads refused/, ERASED, (it) => ({ ...it, view: { ...it.view, state: 'active' } })],
  [/erased, and reads refused/, ERASED, (it) => ({ ...it, recordsSha256: SHA256 })],
  [/nothing asked of the source after that/, ERASED, (it) => ({ ...it, requestsAfterPurge: 1 })],
  [/exchanged once/, ['one_time', 'fallback'], (it) => ({ ...it, row: { ...it.row, exchanges: 2 } })],
  [/revoked at the source/, ['ended_by_caller'], (it) => ({ ...it, row: { ...it.row, alive: true } })],
  [
    /its usage, and why, are shown/,
    ['fallback', 'one_time'],
    (it) => ({ ...it, view: { ...it.view, usage: 'MULTIPLE' } }),
  ],
  [
    /its usage, and why, are shown/,
    ['fallback'],
    (it) => ({ ...it, view: { ...it.view, usageReason: 'as_requested' } }),
  ],
  [
    /its usage, and why, are shown/,
    ['one_time', 'ended_by_caller'],
    (it) => ({ ...it, view: { ...it.view, usageReason: 'no_refresh_token' } }),
  ],
  [
    /shown as revoked by the patient/,
    ['revoked_by_patient'],
    (it) => ({ ...it, view: { ...it.view, state: 'active' } }),
  ],
  [
    /shown as revoked by the patient/,
    ['revoked_by_patient'],
    (it) => ({ ...it, view: { ...it.view, why: 'ambiguous_refresh' } }),
  ],
  [
    /left alone after the source said so/,
    ['revoked_by_patient'],
    (it) => ({ ...it, row: { ...it.row, requestsAfterRevoke: 4 } }),
  ],
];

/** The promises about the fleet as a whole; each is broken when nobody shows it any more. */
const FLEET_BREAKINGS: readonly Breaking[] = [
  [
    /the fleet saw records added/,
    [],
    (it) => ({ ...it, changes: it.changes.map((change) => ({ ...change, added: [] })) }),
  ],
  [
    /the fleet saw records modified/,
    [],
    (it) => ({ ...it, changes: it.changes.map((change) => ({ ...change, modified: [] })) }),
  ],
  [
    /the fleet saw records removed/,
    [],
    (it) => ({ ...it, changes: it.changes.map((change) => ({ ...change, removed: [] })) }),
  ],
  [/a refresh reply was lost/, [], (it) => ({ ...it, row: { ...it.row, lostReplies: 0, reusedRefreshTokens: 0 } })],
  [/a source throttled us/, [], (it) => ({ ...it, row: { ...it.row, throttledAnswers: 0 } })],
  [/a first sync was waited for/, [], (it) => ({ ...it, row: { ...it.row, transientAnswers: 0 } })],
];

describe('the demo’s verdict', () => {
  const good = CAST.map(goodEvidenceOf);

  test('is good when every promise is kept', () => {
    const verdict = judge(good);
    expect(verdict.text).not.toContain('BROKEN');
    expect(verdict.kept).toBe(true);
  });

  test.each(BREAKINGS.flatMap(([promise, roles, change]) => roles.map((role) => [promise, role, change] as const)))(
    'is BROKEN where "%s" is broken for one that is %s, and for no other reason',
    (promise, role, change) => {
      const victim = good.findIndex(({ part }) => part.role === role);
      expect(victim, 'the cast has such a part').toBeGreaterThanOrEqual(0);
      const verdict = judge(good.map((one, index) => (index === victim ? change(one) : one)));
      expect(verdict.kept).toBe(false);
      expect(brokenIn(verdict.text)).toHaveLength(1);
      expect(brokenIn(verdict.text)[0]).toMatch(promise);
      expect(verdict.text).toMatch(/1 of \d+ promises BROKEN/);
    },
  );

  test.each(FLEET_BREAKINGS)('is BROKEN where nobody shows that "%s"', (promise, _roles, change) => {
    const verdict = judge(good.map(change));
    expect(verdict.kept).toBe(false);
    expect(brokenIn(verdict.text).filter((line) => promise.test(line))).toHaveLength(1);
  });

  test('has no promise that cannot be broken here', () => {
    const promises = judge(good)
      .text.split('\n')
      .filter((line) => line.startsWith('  kept  '));
    const ways = [...BREAKINGS, ...FLEET_BREAKINGS].map(([promise]) => promise);
    expect(promises.length).toBeGreaterThan(CAST.length);
    expect(promises.filter((line) => !ways.some((way) => way.test(line)))).toEqual([]);
  });

  test('a hash of records does not depend on their order, and does on every byte', () => {
    const lines = ['{"resourceType":"Patient","id":"1"}', '{"resourceType":"Coverage","id":"2","x":1.00}'];
    const hash = hashOfRecords(lines.join('\n'));
    expect(hash.count).toBe(2);
    expect(hashOfRecords(`${lines.toReversed().join('\n')}\n`)).toEqual(hash);
    expect(hashOfRecords(lines.join('\n').replace('1.00', '1.0')).sha256).not.toBe(hash.sha256);
    expect(hashOfRecords(lines.slice(1).join('\n')).sha256).not.toBe(hash.sha256);
  });
});

function brokenIn(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.startsWith('  BROKEN'));
}

function goodEvidenceOf(part: Part): Evidence {
  const erased = ERASED.includes(part.role);
  const revoked = part.role === 'revoked_by_patient';
  return {
    part,
    view: viewOf(part),
    row: rowOf(part),
    changes: changesOf(),
    recordsSha256: erased ? null : SHA256,
    records: erased ? 0 : 24,
    worstAge: erased || revoked ? { ageSeconds: 0, promiseSeconds: 0 } : { ageSeconds: 80_000, promiseSeconds: 86_400 },
    requestsAfterPurge: 0,
  };
}

function viewOf({ id, role, network, usage }: Part): AuthorizationView {
  const fallback = role === 'fallback';
  const erased = ERASED.includes(role);
  const revoked = role === 'revoked_by_patient';
  return {
    id,
    service: 'demo',
    source: 'sandbox',
    network,
    endpoint: { id: 'endpoint' },
    usage: fallback ? 'ONE_TIME' : usage,
    usageRequested: usage,
    usageReason: fallback ? 'endpoint_not_refreshable' : 'as_requested',
    state: erased ? 'purged' : revoked ? 'needs_reauthorization' : 'active',
    why: erased ? 'one_time_expired' : revoked ? 'revoked' : 'exchanged',
    acceptedAt: NOW,
    endsAt: null,
    endsBecause: null,
    ends: { refreshToken: null, maxAuthorization: null, accessGrant: null, consent: null },
    trouble: null,
    nextRunAt: NOW,
    periodSeconds: 82_800,
    purgeDueAt: null,
    purgeReason: null,
    atEnd: null,
    purgedAt: null,
    lastPull: { at: NOW, result: 'complete', durationMs: 100 },
    freshness: { asOf: NOW, ageSeconds: 0, promiseSeconds: 86_400, late: false },
    failedRuns: 0,
    lastError: null,
  };
}

function rowOf({ role }: Part): Row {
  const lost = role === 'lost_reply' ? 1 : 0;
  return {
    authorizationId: role,
    alive: FRESH.includes(role),
    exchanges: 1,
    refreshes: 3,
    reusedRefreshTokens: lost,
    refusedRefreshTokens: 0,
    lostReplies: lost,
    fhirRequests: 5,
    transientAnswers: role === 'first_sync_running' ? 2 : 0,
    throttledAnswers: role === 'throttled' ? 2 : 0,
    revocations: 0,
    requestsAfterRevoke: role === 'revoked_by_patient' ? 2 : 0,
    resourcesSha256: SHA256,
    resources: { Patient: 1 },
  };
}

function changesOf(): readonly ChangeView[] {
  return [{ cursor: 1, at: NOW, resourceType: 'Patient', added: ['1'], modified: ['2'], removed: ['3'] }];
}
