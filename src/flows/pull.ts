import type { PullResult } from '../core/authorization.ts';
import type { Instant } from '../core/clock.ts';
import type { ErrorCode } from '../core/errors.ts';
import { decidePlan, isResumable, type RunningPull, type TypeResult } from '../core/pull-state.ts';
import { abilitiesOf } from './abilities.ts';
import type { Endings } from './endings.ts';
import { createOwnership } from './ownership.ts';
import type { Published } from './publish.ts';
import { openJournal } from './pull-journal.ts';
import { patientOf, urlOf } from './pull-plan.ts';
import { type Ending, pullRequest } from './pull-request.ts';
import { count, type Reading, type TokenGiver } from './reading.ts';
import { openRecordWriter } from './record-writer.ts';
import type { Work } from './work.ts';

/** How one pull ended. `retry` says when and why to try again; `missing` that nothing asked for was there, as where a whole grant has ended. */
export type PullReport = {
  readonly result: PullResult;
  /** The instant as of which the records are what the source had, where the pull is complete: when it began, before a crash too. */
  readonly asOf: Instant;
  readonly published: Published;
  readonly pages: number;
  readonly bytes: number;
  /** Entries that were not stored, by name of the reason. */
  readonly refused: Readonly<Record<string, number>>;
  readonly retry: { readonly code: ErrorCode; readonly afterMs: number | null } | null;
  readonly missing: boolean;
  readonly superseded: boolean;
};

const AT_THE_FIRST_PAGE = { next: null, entries: 0, total: 0 };
const NOTHING: Published = { added: 0, modified: 0, removed: 0, suspected: 0 };

/**
 * Pulls the records of one authorization and stores what is new: from the beginning, or what has changed since the last pull, or on from where a crash
 * stopped it. Each request (everything, or one resource type) ends complete, partial or refused; only what was read to its end from its beginning may
 * imply removals. What was stored before a failure stays.
 */
export async function pullRecords({
  work,
  giveToken,
  wantsFull = false,
}: {
  readonly work: Work;
  readonly giveToken: TokenGiver;
  /** Reads everything from the beginning, whatever could be asked for changes only. */
  readonly wantsFull?: boolean;
}): Promise<PullReport> {
  const { context, held, key, authorization, source } = work;
  const journal = await openJournal({ context, key, authorizationId: authorization.id });
  const now = context.clock.now();
  const goesOn = isResumable({ running: journal.state.running, now }) ? journal.state.running : null;
  const resumed = goesOn?.id ?? null;
  const writer = await openRecordWriter({ context, held, key, authorizationId: authorization.id, journal, resumed });
  const abilities = goesOn === null ? await abilitiesOf({ work }) : null;
  const storedTypes = writer.storedTypes();
  const { pullBy, resourceTypes, reconcileEveryMs } = source;
  const plan = decidePlan({
    state: journal.state,
    storedTypes,
    pullBy,
    resourceTypes,
    reconcileEveryMs,
    abilities,
    wantsFull,
    now,
  });
  const begun = { startedAt: now, plan: plan.requests, results: [], ...AT_THE_FIRST_PAGE };
  const running = goesOn ?? { id: context.entropy.id(), ...begun };
  context.log.info('pull_begun', {
    authorizationId: authorization.id,
    reason: goesOn === null ? plan.reason : 'resumed',
    count: running.plan.length,
  });
  const patient = await patientOf(work);
  const ownership = createOwnership({ patient, linked: journal.state.patients });
  const reading: Reading = {
    work,
    writer,
    ownership,
    giveToken,
    progress: { pages: 0, bytes: 0, waits: 0 },
    refused: {},
  };
  const { endings, ended } = await pullAll({ reading, running });
  return conclude({ reading, endings, running: ended });
}

/** The plan's requests, from where it stands; ends early where going on makes no sense. */
async function pullAll({
  reading,
  running: begun,
}: {
  readonly reading: Reading;
  readonly running: RunningPull;
}): Promise<{ readonly endings: readonly Ending[]; readonly ended: RunningPull }> {
  const { work, writer, ownership, progress } = reading;
  let running = begun;
  const endings: Ending[] = [];
  const patient = await patientOf(work);
  for (const request of begun.plan.slice(begun.results.length)) {
    const url = running.next ?? urlOf({ source: work.source, request, patient });
    const before = progress.bytes;
    const ending = await pullRequest({ reading, running, request, url });
    endings.push(ending);
    running = { ...running, results: [...running.results, resultOf(ending)], ...AT_THE_FIRST_PAGE };
    if (stopsThePull(ending)) break;
    // Without the last request's: the end of the pull follows at once.
    if (running.results.length === begun.plan.length) break;
    const written = await writer.checkpoint({
      running,
      readBytes: progress.bytes - before,
      patients: ownership.known(),
      isWhole: !ownership.isWaiting(),
    });
    if (written === 'superseded') return { endings: [...endings, { kind: 'superseded' }], ended: running };
  }
  return { endings, ended: running };
}

function resultOf({ kind }: Ending): TypeResult {
  if (kind === 'complete') return 'complete';
  return kind === 'refused' || kind === 'not_found' ? 'refused' : 'partial';
}

function stopsThePull(ending: Ending): boolean {
  if (ending.kind === 'partial') return ending.stop;
  return ending.kind === 'superseded' || ending.kind === 'no_token';
}

async function conclude({
  reading,
  endings,
  running,
}: {
  readonly reading: Reading;
  readonly endings: readonly Ending[];
  readonly running: RunningPull;
}): Promise<PullReport> {
  const { writer, ownership } = reading;
  const superseded = endings.some(({ kind }) => kind === 'superseded');
  const failed = endings.find((ending) => ending.kind === 'partial');
  if (superseded || failed?.code === 'cancelled') return reportOf({ reading, endings, running, published: NOTHING });
  const { own, foreign } = ownership.settle();
  let faulty = foreign > 0;
  for (const entry of own) {
    const offered = await writer.offer(entry);
    if (offered === 'duplicate' || offered === 'conflicting_duplicate') count(reading, offered);
    faulty ||= offered === 'conflicting_duplicate';
  }
  if (foreign > 0) count(reading, 'another_patient', foreign);
  const { resourceTypes } = reading.work.source;
  const askedTypes = running.plan.flatMap(({ type }) => (type === null ? resourceTypes : [type]));
  const endingsBy = endingsOf({ running, faulty });
  const finished = await writer.finish({ endings: endingsBy, running, askedTypes, patients: ownership.known() });
  if (finished.kind === 'superseded') {
    return reportOf({ reading, endings: [...endings, { kind: 'superseded' }], running, published: NOTHING });
  }
  return reportOf({ reading, endings, running, published: finished.published, faulty });
}

/** How each type ended, also the types that came with others: all together in one request, or as neighbours of a search. */
function endingsOf({ running, faulty }: { readonly running: RunningPull; readonly faulty: boolean }): Endings {
  const byType = new Map<string | null, { readonly result: TypeResult; readonly full: boolean }>();
  for (const [index, { type, since }] of running.plan.entries()) {
    const result = running.results[index] ?? 'partial';
    byType.set(type, { result: faulty && result === 'complete' ? 'partial' : result, full: since === null });
  }
  const together = byType.get(null);
  const neighbour = { result: together?.result ?? 'complete', full: together !== undefined } as const;
  return { of: (type) => byType.get(type) ?? neighbour };
}

function reportOf({
  reading: { writer, progress, refused },
  endings,
  running,
  published,
  faulty = false,
}: {
  readonly reading: Reading;
  readonly endings: readonly Ending[];
  readonly running: RunningPull;
  readonly published: Published;
  readonly faulty?: boolean;
}): PullReport {
  const failed = endings.find((ending) => ending.kind === 'partial');
  const ended = (result: TypeResult) => running.results.filter((one) => one === result).length;
  const [done, turnedAway] = [ended('complete'), ended('refused')];
  const whole = !faulty && done > 0 && done + turnedAway === running.plan.length;
  const result: PullResult = whole ? 'complete' : done > 0 || writer.seen() > 0 ? 'partial' : 'failed';
  const refusedAll = failed === undefined && done === 0 && turnedAway > 0;
  return {
    asOf: running.startedAt,
    pages: progress.pages,
    bytes: progress.bytes,
    refused,
    result,
    published,
    retry: refusedAll ? { code: 'type_refused', afterMs: null } : retryOf({ failed, faulty }),
    missing: refusedAll && turnedAway === running.plan.length && endings.some(({ kind }) => kind === 'not_found'),
    superseded: endings.some(({ kind }) => kind === 'superseded'),
  };
}

function retryOf({
  failed,
  faulty,
}: {
  readonly failed: Extract<Ending, { readonly kind: 'partial' }> | undefined;
  readonly faulty: boolean;
}): PullReport['retry'] {
  if (failed !== undefined) return { code: failed.code, afterMs: failed.afterMs };
  return faulty ? { code: 'upstream_malformed', afterMs: null } : null;
}
