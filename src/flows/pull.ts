import type { PullResult } from '../core/authorization.ts';
import { sliceBundle } from '../core/bundle.ts';
import type { ErrorCode } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { decideLink } from '../core/link.ts';
import type { PageReply } from '../core/ports/upstream.ts';
import type { Secret } from '../core/secret.ts';
import { type PullRequest, planPull } from './pull-plan.ts';
import { openRecordWriter, type RecordWriter, type Tally } from './record-writer.ts';
import type { Work } from './work.ts';

/** How one pull ended. `retry` says when and why to try again; `missing` that nothing asked for was there, as where a whole grant has ended. */
export type PullReport = {
  readonly result: PullResult;
  readonly tally: Tally;
  readonly pages: number;
  readonly bytes: number;
  readonly retry: { readonly code: ErrorCode; readonly afterMs: number | null } | null;
  readonly missing: boolean;
  readonly superseded: boolean;
};

/** Asks for an access token; `rejected` when the source has just refused the one given before. Null ends the pull. */
export type TokenGiver = (request: { readonly rejected: boolean }) => Promise<Secret | null>;

type Ending =
  | { readonly kind: 'complete' | 'refused' | 'not_found' | 'superseded' | 'no_token' }
  | { readonly kind: 'partial'; readonly code: ErrorCode; readonly afterMs: number | null; readonly stop: boolean };

type Progress = { pages: number; bytes: number; waits: number };

/**
 * Pulls the records of one authorization and stores what is new. Each request (everything, or one resource type) ends complete,
 * partial or refused; only what is complete may imply removals. What was stored before a failure stays.
 */
export async function pullRecords({
  work,
  giveToken,
}: {
  readonly work: Work;
  readonly giveToken: TokenGiver;
}): Promise<PullReport> {
  const { context, held, key, authorization, source } = work;
  const writer = await openRecordWriter({ context, held, key, authorizationId: authorization.id });
  const progress: Progress = { pages: 0, bytes: 0, waits: 0 };
  const endings: Ending[] = [];
  const complete = new Set<string | null>();
  for (const request of await planPull({ work })) {
    const ending = await pullRequest({ work, writer, progress, request, giveToken });
    endings.push(ending);
    if (ending.kind === 'complete') complete.add(request.type);
    if (stopsThePull(ending)) break;
  }
  // Only now, because a later search may include resources of a type that an earlier one has read to its end.
  for (const type of writer.types()) {
    const written = await writer.finish({ type, complete: complete.has(null) || complete.has(type) });
    if (written === 'superseded') endings.push({ kind: 'superseded' });
  }
  context.log.info('pulled', { authorizationId: authorization.id, source: source.name, pages: progress.pages });
  return reportOf({ endings, tally: writer.tally(), progress });
}

function stopsThePull(ending: Ending): boolean {
  if (ending.kind === 'partial') return ending.stop;
  return ending.kind === 'superseded' || ending.kind === 'no_token';
}

async function pullRequest({
  work,
  writer,
  progress,
  request,
  giveToken,
}: {
  readonly work: Work;
  readonly writer: RecordWriter;
  readonly progress: Progress;
  readonly request: PullRequest;
  readonly giveToken: TokenGiver;
}): Promise<Ending> {
  const { source, held } = work;
  let url: string | null = request.url;
  let rejectedBefore = false;
  const visited = new Set<string>();
  const read: Reading = { entries: 0, total: 0, faulty: false };
  while (url !== null) {
    if (visited.has(url) || visited.size >= LIMITS.pagesPerTypeMax) return partial('upstream_malformed');
    if (progress.bytes > LIMITS.pullMaxBytes) return partial('upstream_too_large', null, true);
    const accessToken = await giveToken({ rejected: rejectedBefore });
    if (accessToken === null) return { kind: 'no_token' };
    const reply = await source.fetchPage({ url, accessToken, signal: held.signal });
    if (reply.kind === 'token_rejected' && !rejectedBefore) {
      rejectedBefore = true;
      continue;
    }
    if (await waitedInPlace({ work, reply, progress })) continue;
    // A refusal in the middle (a cursor that has expired) says nothing of the type: what was read of it is half.
    if (isRefusal(reply) && visited.size > 0) return partial('upstream_malformed');
    if (reply.kind !== 'page') return endingOf(reply);
    rejectedBefore = false;
    visited.add(url);
    progress.pages += 1;
    progress.bytes += reply.bytes.length;
    const page = await takePage({ writer, base: source.fhirBaseUrl, bytes: reply.bytes, read });
    if (page.kind === 'ended') return page.ending;
    url = page.next;
  }
  return read.faulty || read.entries < read.total ? partial('upstream_malformed') : { kind: 'complete' };
}

function isRefusal({ kind }: PageReply): boolean {
  return kind === 'type_refused' || kind === 'not_found';
}

/** What one request's pages have told so far: a page that is not whole says so by its total, a bad entry or an issue among its entries. */
type Reading = { entries: number; total: number; faulty: boolean };

/** A throttled page in mid-pull is waited for where it is, within limits: to begin again would spend the quota on pages we have. */
async function waitedInPlace({
  work: { context, held },
  reply,
  progress,
}: {
  readonly work: Work;
  readonly reply: PageReply;
  readonly progress: Progress;
}): Promise<boolean> {
  if (reply.kind !== 'throttled' || progress.pages === 0 || progress.waits >= LIMITS.waitsInPlaceMax) return false;
  const waitMs = context.clock.toWallMs(reply.retryAfterMs ?? LIMITS.throttledRetryMs);
  if (waitMs > LIMITS.waitInPlaceWallMs) return false;
  progress.waits += 1;
  await context.clock.sleep(Math.max(LIMITS.retryMinWallMs, waitMs), held.signal);
  return true;
}

async function takePage({
  writer,
  base,
  bytes,
  read,
}: {
  readonly writer: RecordWriter;
  readonly base: string;
  readonly bytes: Uint8Array;
  readonly read: Reading;
}): Promise<
  { readonly kind: 'next'; readonly next: string | null } | { readonly kind: 'ended'; readonly ending: Ending }
> {
  const ended = (ending: Ending) => ({ kind: 'ended', ending }) as const;
  const page = sliceBundle(bytes);
  if (page.kind !== 'bundle') return ended(partial('upstream_malformed'));
  read.total = Math.max(read.total, page.total ?? 0);
  read.entries += page.slices.length;
  // The entry is refused and counted; the rest of the pages is still read (what is good in a pull is kept).
  if (page.faults.length > 0) read.faulty = true;
  for (const { resourceType, id, start, end } of page.slices) {
    if (resourceType === 'OperationOutcome') {
      read.faulty ||= tellsOfErrors(bytes.subarray(start, end));
      continue;
    }
    const written = await writer.offer({ type: resourceType, id, bytes: bytes.subarray(start, end) });
    if (written === 'superseded') return ended({ kind: 'superseded' });
  }
  if (page.next === undefined) return { kind: 'next', next: null };
  const link = decideLink({ next: page.next, base });
  return link.kind === 'follow' ? { kind: 'next', next: link.url } : ended(partial('upstream_link_refused'));
}

/** An OperationOutcome among the entries is a remark, unless it says that something went wrong. */
function tellsOfErrors(outcome: Uint8Array): boolean {
  return /"severity"\s*:\s*"(?:error|fatal)"/.test(new TextDecoder().decode(outcome));
}

function partial(code: ErrorCode, afterMs: number | null = null, stop = false): Ending {
  return { kind: 'partial', code, afterMs, stop };
}

function endingOf(reply: Exclude<PageReply, { readonly kind: 'page' }>): Ending {
  switch (reply.kind) {
    case 'token_rejected':
      return partial('token_rejected', null, true);
    case 'not_found':
      return { kind: 'not_found' };
    case 'type_refused':
      return { kind: 'refused' };
    case 'syncing':
      return partial('upstream_syncing', reply.retryAfterMs ?? LIMITS.syncingRetryMs, true);
    case 'throttled':
      return partial('upstream_throttled', reply.retryAfterMs ?? LIMITS.throttledRetryMs, true);
    case 'sync_failed':
      return partial('upstream_sync_failed', null, true);
    case 'unavailable':
      return unavailable(reply.reason);
  }
}

function unavailable(reason: Extract<PageReply, { readonly kind: 'unavailable' }>['reason']): Ending {
  if (reason === 'too_large') return partial('upstream_too_large');
  if (reason === 'redirect') return partial('upstream_link_refused');
  if (reason === 'cancelled') return partial('cancelled', 0, true);
  return partial(reason === 'timeout' ? 'upstream_timeout' : 'upstream_unavailable', null, reason !== 'server_error');
}

function reportOf({
  endings,
  tally,
  progress,
}: {
  readonly endings: readonly Ending[];
  readonly tally: Tally;
  readonly progress: Progress;
}): PullReport {
  const failed = endings.find((ending) => ending.kind === 'partial');
  const done = endings.filter(({ kind }) => kind === 'complete').length;
  const refused = endings.filter(({ kind }) => kind === 'refused' || kind === 'not_found').length;
  const whole = endings.every(({ kind }) => kind === 'complete' || kind === 'refused' || kind === 'not_found');
  const result: PullResult = whole && done > 0 ? 'complete' : done > 0 || tally.seen > 0 ? 'partial' : 'failed';
  const refusedAll = failed === undefined && done === 0 && refused > 0;
  return {
    pages: progress.pages,
    bytes: progress.bytes,
    result,
    tally,
    retry: refusedAll ? { code: 'type_refused', afterMs: null } : retryOf(failed),
    missing: refusedAll && refused === endings.length && endings.some(({ kind }) => kind === 'not_found'),
    superseded: endings.some(({ kind }) => kind === 'superseded'),
  };
}

function retryOf(failed: Extract<Ending, { readonly kind: 'partial' }> | undefined): PullReport['retry'] {
  return failed === undefined ? null : { code: failed.code, afterMs: failed.afterMs };
}
