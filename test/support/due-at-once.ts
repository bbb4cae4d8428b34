import { randomBytes } from 'node:crypto';
import { accept } from '../../src/flows/accept.ts';
import type { Context } from '../../src/flows/context.ts';
import { withLease } from '../../src/flows/lease.ts';
import { QUIET_QUEUE } from './quiet-queue.ts';
import type { Link } from './world.ts';
import { requestOf } from './world.ts';

const signal = new AbortController().signal;
/** Accepted at a time: more wait in the pools of connections only. */
const HANDS = 16;

/**
 * Makes `count` authorizations with some records each that are all due at the same instant, which lies ahead, and whose purge jobs are in the queue. Gives
 * that instant.
 */
export async function makeDueAtOnce({
  context,
  link,
  count,
  inMs,
}: {
  readonly context: Context;
  /** One patient's tokens serve for all: nothing is asked of the source. */
  readonly link: Link;
  readonly count: number;
  readonly inMs: number;
}): Promise<number> {
  const quiet = { ...context, queue: { ...context.queue, ...QUIET_QUEUE } };
  const ids = Array.from({ length: count }, (_, index) => `due-${index}`);
  await inParallel(ids, (id) => withRecords({ context: quiet, link, id }));
  const due = context.clock.now() + inMs;
  await inParallel(ids, async (authorizationId) => {
    const patch = { purgeDueAt: due, nextRunAt: null };
    await withLease({ context, authorizationId, signal }, ({ fence }) =>
      context.store.update({ ...fence, patch, actor: 'test' }),
    );
    const delayMs = Math.max(0, due - context.clock.now());
    await context.queue.add({ queue: 'purge', authorizationId, reason: 'due', delayMs });
  });
  return due;
}

async function withRecords({
  context,
  link,
  id,
}: {
  readonly context: Context;
  readonly link: Link;
  readonly id: string;
}): Promise<void> {
  await accept({ context, request: requestOf(link, { id, usage: 'ONE_TIME' }), actor: 'test' });
  const sealed = () => new Uint8Array(randomBytes(2_048));
  await withLease({ context, authorizationId: id, signal }, ({ fence }) =>
    context.store.commitRecords({
      ...fence,
      packs: [
        { id: 'one', sealed: sealed() },
        { id: 'two', sealed: sealed() },
      ],
      droppedPacks: [],
      manifests: [{ key: 'Patient', sealed: sealed() }],
      changes: [{ at: context.clock.now(), sealed: sealed() }],
      journal: { state: sealed(), page: null, ended: true },
    }),
  );
}

async function inParallel(ids: readonly string[], act: (id: string) => Promise<void>): Promise<void> {
  const left = [...ids];
  const hand = async (): Promise<void> => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) await act(id);
  };
  await Promise.all(Array.from({ length: HANDS }, hand));
}
