import { createHash } from 'node:crypto';
import type { AuthorizationView, ChangeView } from '../../contract/wire.ts';
import { table } from '../print.ts';
import type { Row } from './sandbox-control.ts';
import type { Part, Role } from './scenario.ts';

/** What is known of one authorization at the end: Perennial's side and the source's. */
export type Evidence = {
  readonly part: Part;
  readonly view: AuthorizationView;
  readonly row: Row;
  readonly changes: readonly ChangeView[];
  /** SHA-256 over the stored records as the sandbox hashes its own; null where reads are refused. */
  readonly recordsSha256: string | null;
  readonly records: number;
  /** The oldest its records ever were against the promise, while it was to be kept fresh. */
  readonly worstAge: { readonly ageSeconds: number; readonly promiseSeconds: number };
  /** Requests the source saw from it when its data was already erased. */
  readonly requestsAfterPurge: number;
};

type Check = { readonly promise: string; readonly kept: boolean };

const KEPT_FRESH: ReadonlySet<Role> = new Set(['kept_fresh', 'throttled', 'lost_reply', 'first_sync_running']);
const ERASED: ReadonlySet<Role> = new Set(['one_time', 'fallback', 'ended_by_caller']);

/** The hash of a set of resources, whatever their order: lines sorted by type and id, each ended by a newline, as the sandbox serves them. */
export function hashOfRecords(ndjson: string): { readonly sha256: string; readonly count: number } {
  const lines = ndjson.split('\n').filter((line) => line !== '');
  const keyed = lines.map((line) => [keyOf(line), line] as const).sort(([left], [right]) => (left < right ? -1 : 1));
  const sha256 = createHash('sha256')
    .update(keyed.map(([, line]) => `${line}\n`).join(''))
    .digest('hex');
  return { sha256, count: lines.length };
}

function keyOf(line: string): string {
  const resource: unknown = JSON.parse(line);
  const fields = new Map<string, unknown>(
    typeof resource === 'object' && resource !== null ? Object.entries(resource) : [],
  );
  return `${String(fields.get('resourceType'))}/${String(fields.get('id'))}`;
}

/** Checks every promise that the demo makes; the summary says which were kept. */
export function judge(evidence: readonly Evidence[]): { readonly text: string; readonly kept: boolean } {
  const checks = [...evidence.flatMap(checksOf), ...fleetChecks(evidence)];
  const broken = checks.filter(({ kept }) => !kept);
  const text = [
    summaryOf(evidence),
    ...checks.map(({ promise, kept }) => `  ${kept ? 'kept  ' : 'BROKEN'}  ${promise}`),
  ];
  const verdict =
    broken.length === 0
      ? `All ${checks.length} promises kept.`
      : `${broken.length} of ${checks.length} promises BROKEN.`;
  return { text: `${text.join('\n')}\n\n${verdict}\n`, kept: broken.length === 0 };
}

function checksOf({ part, view, row, recordsSha256, worstAge, requestsAfterPurge }: Evidence): readonly Check[] {
  const { id, role } = part;
  const check = (promise: string, kept: boolean): Check => ({ promise: `${id}: ${promise}`, kept });
  if (KEPT_FRESH.has(role)) {
    return [
      check('alive here and at the source', view.state === 'active' && row.alive),
      check('what is stored is, byte for byte, what the source has', recordsSha256 === row.resourcesSha256),
      check('records never older than the network promises', worstAge.ageSeconds <= worstAge.promiseSeconds),
      check('refreshed each virtual day', row.refreshes >= 2),
      check('no refresh token spent twice', row.reusedRefreshTokens === (role === 'lost_reply' ? row.lostReplies : 0)),
    ];
  }
  if (ERASED.has(role)) {
    const fellBack = view.usage === 'ONE_TIME' && view.usageReason !== 'as_requested';
    const asAskedFor = view.usage === part.usage && view.usageReason === 'as_requested';
    return [
      check('erased, and reads refused', view.state === 'purged' && recordsSha256 === null),
      check('nothing asked of the source after that', requestsAfterPurge === 0),
      check(
        role === 'ended_by_caller' ? 'revoked at the source' : 'exchanged once',
        role === 'ended_by_caller' ? !row.alive : row.exchanges <= 1,
      ),
      check('its usage, and why, are shown', role === 'fallback' ? fellBack : asAskedFor),
    ];
  }
  return [
    check('shown as revoked by the patient', view.state === 'needs_reauthorization' && view.why === 'revoked'),
    check('left alone after the source said so', row.requestsAfterRevoke <= REQUESTS_UNTIL_TOLD),
  ];
}

/** A page refused, a refresh refused: that is how a revocation becomes known. */
const REQUESTS_UNTIL_TOLD = 3;

function fleetChecks(evidence: readonly Evidence[]): readonly Check[] {
  const some = (what: (one: Evidence) => boolean): boolean => evidence.some(what);
  return [
    {
      promise: 'the fleet saw records added',
      kept: some(({ changes }) => changes.some(({ added }) => added.length > 0)),
    },
    {
      promise: 'the fleet saw records modified',
      kept: some(({ changes }) => changes.some(({ modified }) => modified.length > 0)),
    },
    {
      promise: 'the fleet saw records removed',
      kept: some(({ changes }) => changes.some(({ removed }) => removed.length > 0)),
    },
    {
      promise: 'a refresh reply was lost and the authorization lived',
      kept: some(({ part, row }) => part.role === 'lost_reply' && row.lostReplies > 0),
    },
    {
      promise: 'a source throttled us and was waited for',
      kept: some(({ part, row }) => part.role === 'throttled' && row.throttledAnswers > 0),
    },
    { promise: 'a first sync was waited for', kept: some(({ row }) => row.transientAnswers > 0) },
  ];
}

function summaryOf(evidence: readonly Evidence[]): string {
  const header = [
    'AUTHORIZATION',
    'END',
    'REFRESHES',
    'FHIR REQUESTS',
    'STORED',
    'ADDED',
    'CHANGED',
    'REMOVED',
    'OLDEST',
  ];
  const rows = evidence.map(({ part, view, row, changes, records, worstAge }) => {
    const total = (kind: 'added' | 'modified' | 'removed'): string =>
      String(changes.reduce((sum, change) => sum + change[kind].length, 0));
    const oldest =
      worstAge.ageSeconds === 0
        ? '-'
        : `${(worstAge.ageSeconds / 3_600).toFixed(1)} of ${worstAge.promiseSeconds / 3_600} h`;
    const end = view.state === 'active' ? 'active' : `${view.state} (${view.why})`;
    return [
      part.id,
      end,
      String(row.refreshes),
      String(row.fhirRequests),
      String(records),
      total('added'),
      total('modified'),
      total('removed'),
      oldest,
    ];
  });
  const sum = (of: (row: Row) => number): number => evidence.reduce((total, { row }) => total + of(row), 0);
  const purges = evidence.filter(({ view }) => view.state === 'purged').length;
  const totals = `${sum(({ refreshes }) => refreshes)} refreshes, ${sum(({ fhirRequests }) => fhirRequests)} FHIR requests, ${purges} purges`;
  return `\n${table([header, ...rows])}\n${totals}\n`;
}
