import { createBundleSlicer } from '../core/bundle-stream.ts';
import { type ErrorCode, PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { decideLink } from '../core/link.ts';
import type { PageRefused, PageStream } from '../core/ports/upstream.ts';
import type { PlannedRequest, RunningPull } from '../core/pull-state.ts';
import { takeEntry } from './pull-entry.ts';
import { count, type Reading, type Tally } from './reading.ts';
import type { Checkpoint } from './record-writer.ts';

/** How one request of a pull ended. */
export type Ending =
  | { readonly kind: 'complete' | 'refused' | 'not_found' | 'superseded' | 'no_token' }
  | { readonly kind: 'partial'; readonly code: ErrorCode; readonly afterMs: number | null; readonly stop: boolean };

type Page =
  | { readonly kind: 'next'; readonly next: string | null }
  | { readonly kind: 'ended'; readonly ending: Ending };

/** Reads one request's pages to their end, or to where it ends otherwise. */
export async function pullRequest({
  reading,
  running,
  request,
  url: first,
}: {
  readonly reading: Reading;
  readonly running: RunningPull;
  readonly request: PlannedRequest;
  readonly url: string;
}): Promise<Ending> {
  const { work, writer, ownership, progress, giveToken } = reading;
  const { source, held } = work;
  let url: string | null = first;
  let rejectedBefore = false;
  const visited = new Set<string>();
  const tally: Tally = { entries: running.entries, total: running.total, faulty: false };
  while (url !== null) {
    if (visited.has(url) || visited.size >= LIMITS.pagesPerTypeMax) return partial('upstream_malformed');
    if (progress.bytes > LIMITS.pullMaxBytes) return partial('upstream_too_large', null, true);
    const accessToken = await giveToken({ rejected: rejectedBefore });
    if (accessToken === null) return { kind: 'no_token' };
    const reply = await source.streamPage({ url, accessToken, signal: held.signal });
    if (reply.kind === 'token_rejected' && !rejectedBefore) {
      rejectedBefore = true;
      continue;
    }
    if (await waitedInPlace({ reading, reply })) continue;
    // A refusal in the middle (a cursor that has expired) says nothing of the type: what was read of it is half.
    if (isRefusal(reply) && (visited.size > 0 || running.next === url)) return partial('upstream_malformed');
    if (reply.kind !== 'page') return endingOf(reply);
    rejectedBefore = false;
    visited.add(url);
    const before = progress.bytes;
    const place = url === first ? running : { ...running, next: url, entries: tally.entries, total: tally.total };
    const isWhole = !tally.faulty && !ownership.isWaiting();
    const page = await readPage({
      reading,
      stream: reply,
      tally,
      begun: { running: place, patients: ownership.known(), isWhole },
    });
    if (page.kind === 'ended') return page.ending;
    url = page.next;
    if (url === null) break;
    const readBytes = progress.bytes - before;
    const written = await writer.checkpoint({
      running: { ...running, next: url, entries: tally.entries, total: tally.total },
      readBytes,
      patients: ownership.known(),
      isWhole: !tally.faulty && !ownership.isWaiting(),
    });
    if (written === 'superseded') return { kind: 'superseded' };
  }
  const half = tally.faulty || (request.since === null && tally.entries < tally.total);
  return half ? partial('upstream_malformed') : { kind: 'complete' };
}

function isRefusal({ kind }: PageStream): boolean {
  return kind === 'type_refused' || kind === 'not_found';
}

/** A throttled page in mid-pull is waited for where it is, within limits: to begin again would spend the quota on pages we have. */
async function waitedInPlace({
  reading: { work, progress },
  reply,
}: {
  readonly reading: Reading;
  readonly reply: PageStream;
}): Promise<boolean> {
  if (reply.kind !== 'throttled' || progress.pages === 0 || progress.waits >= LIMITS.waitsInPlaceMax) return false;
  const { clock } = work.context;
  const waitMs = clock.toWallMs(reply.retryAfterMs ?? LIMITS.throttledRetryMs);
  if (waitMs > LIMITS.waitInPlaceWallMs) return false;
  progress.waits += 1;
  await clock.sleep(Math.max(LIMITS.retryMinWallMs, waitMs), work.held.signal);
  return true;
}

/** Takes a page's entries as they arrive. Only a body that was read to its end without a fault counts as a page; what came before a fault is kept. */
async function readPage({
  reading,
  stream,
  tally,
  begun,
}: {
  readonly reading: Reading;
  readonly stream: Extract<PageStream, { readonly kind: 'page' }>;
  readonly tally: Tally;
  /** Where this page began. */
  readonly begun: Checkpoint;
}): Promise<Page> {
  const { progress, work, writer } = reading;
  const slicer = createBundleSlicer();
  try {
    for await (const chunk of stream.chunks) {
      progress.bytes += chunk.length;
      for (const entry of slicer.push(chunk)) {
        const later = takeEntry({ reading, entry, tally });
        if (later !== null) await later;
      }
      if (slicer.refused() !== undefined) break;
      if (writer.isFull() && (await writer.flush(begun)) === 'superseded') {
        return { kind: 'ended', ending: { kind: 'superseded' } };
      }
    }
  } catch (error) {
    if (!(error instanceof PerennialError) || !isUpstreams(error.code)) throw error;
    if (error.code === 'cancelled') return { kind: 'ended', ending: partial('cancelled', 0, true) };
    return { kind: 'ended', ending: partial(error.code, null, error.code !== 'upstream_too_large') };
  }
  const page = slicer.end();
  if (page.kind !== 'bundle') {
    count(reading, page.kind === 'refused' ? `page_${page.reason}` : 'page_outcome');
    return { kind: 'ended', ending: partial('upstream_malformed') };
  }
  progress.pages += 1;
  tally.total = Math.max(tally.total, page.total ?? 0);
  if (page.next === undefined) return { kind: 'next', next: null };
  const link = decideLink({ next: page.next, base: work.source.fhirBaseUrl });
  if (link.kind === 'follow') return { kind: 'next', next: link.url };
  count(reading, `link_${link.reason}`);
  return { kind: 'ended', ending: partial('upstream_link_refused') };
}

function isUpstreams(code: ErrorCode): boolean {
  return code === 'cancelled' || code.startsWith('upstream_');
}

function partial(code: ErrorCode, afterMs: number | null = null, stop = false): Ending {
  return { kind: 'partial', code, afterMs, stop };
}

function endingOf(reply: PageRefused): Ending {
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

function unavailable(reason: Extract<PageRefused, { readonly kind: 'unavailable' }>['reason']): Ending {
  if (reason === 'too_large') return partial('upstream_too_large');
  if (reason === 'redirect') return partial('upstream_link_refused');
  if (reason === 'cancelled') return partial('cancelled', 0, true);
  if (reason === 'address_refused') return partial('upstream_address_refused', null, true);
  if (reason === 'cut_short') return partial('upstream_cut_short', null, true);
  return partial(reason === 'timeout' ? 'upstream_timeout' : 'upstream_unavailable', null, reason !== 'server_error');
}
