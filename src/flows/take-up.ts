import type { State } from '../core/authorization.ts';
import { codeOf, ERRORS, PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import type { DataKey } from '../core/ports/vault.ts';
import type { Context } from './context.ts';
import { forgetPurged } from './forget-purged.ts';
import { gatedSource } from './gated-source.ts';
import { type Held, withLease } from './lease.ts';
import { putBack, putBackFor } from './put-back.ts';
import { quarantine } from './quarantine.ts';
import { framesOf, type Work } from './work.ts';

/**
 * Takes up one authorization under its lease and does `body`, if it is still in the state the job is for.
 * What a body throws becomes a wait or a failed job under a fixed code; it never escapes with a library's text.
 */
export async function takeUp(
  {
    context,
    authorizationId,
    signal,
    wanted,
    part = 'run',
  }: {
    readonly context: Context;
    readonly authorizationId: string;
    readonly signal: AbortSignal;
    readonly wanted: State;
    /** Only a whole run may end the count of crashes, and waits for other suspects; a token is due now. */
    readonly part?: 'run' | 'tokens_only';
  },
  body: (work: Work) => Promise<JobOutcome>,
): Promise<JobOutcome> {
  try {
    const outcome = await withLease({ context, authorizationId, signal }, async (held): Promise<JobOutcome> => {
      const ready = await prepare({ context, authorizationId, wanted, held });
      if (ready.kind === 'not_now') return ready.outcome;
      return part === 'run' ? runAlone({ work: ready.work, body }) : guarded({ work: ready.work, body });
    });
    if (outcome.kind === 'held') return outcome.value;
    const spread = LIMITS.leaseTakenRetryMs * (0.5 + context.entropy.random());
    return { kind: 'again', afterWallMs: spread, reason: 'lease_taken' };
  } catch (error) {
    const code = codeOf(error);
    context.log.error('run_failed', { authorizationId, code, frames: framesOf(error) });
    if (ERRORS[code].retry === 'never') return { kind: 'failed', code };
    return { kind: 'again', afterWallMs: LIMITS.dependencyRetryWallMs, reason: code };
  }
}

/** A run that ends, however it does, has not killed its worker. */
async function runAlone({
  work,
  body,
}: {
  readonly work: Work;
  readonly body: (work: Work) => Promise<JobOutcome>;
}): Promise<JobOutcome> {
  const { context, held } = work;
  const leave = held.crashes === 0 ? () => undefined : context.suspects.enter(held.crashes);
  if (leave === null) return { kind: 'again', afterWallMs: LIMITS.leaseTakenRetryMs, reason: 'suspect_waits' };
  try {
    const outcome = await guarded({ work, body });
    held.survived();
    return outcome;
  } finally {
    leave();
  }
}

async function prepare({
  context,
  authorizationId,
  wanted,
  held,
}: {
  readonly context: Context;
  readonly authorizationId: string;
  readonly wanted: State;
  readonly held: Held;
}): Promise<
  { readonly kind: 'work'; readonly work: Work } | { readonly kind: 'not_now'; readonly outcome: JobOutcome }
> {
  const notNow = (outcome: JobOutcome) => ({ kind: 'not_now', outcome }) as const;
  const { standing } = held;
  if (standing === null) {
    await context.queue.unschedule(authorizationId);
    return notNow({ kind: 'done', reason: 'unknown_authorization' });
  }
  const { authorization } = standing;
  if (authorization.state !== wanted) {
    if (authorization.state !== 'active') await context.queue.unschedule(authorizationId);
    if (authorization.state === 'purged') void forgetPurged({ context, authorizationId });
    await setAside({ context, held, dead: isOver(authorization.state) });
    return notNow({ kind: 'done', reason: `state_${authorization.state}` });
  }
  if (held.crashes >= LIMITS.crashesMax) {
    await setAside({ context, held, dead: false });
    return notNow(await quarantine({ context, held, authorization }));
  }
  const source = context.sources.get(authorization.source);
  if (source === undefined) {
    await setAside({ context, held, dead: false });
    throw new PerennialError('unknown_source');
  }
  const key = await openKey({ context, held, authorizationId });
  const gated = gatedSource({ context, source, endpointId: authorization.endpoint.id });
  const work = { context, held, authorization, source: gated, key };
  // One run in a quarter of an hour is let through, to find out whether the credentials are mended.
  const everyMs = LIMITS.sourceProbeEveryMs;
  const mayTry = () => context.store.mayTrySource({ source: source.name, at: context.clock.now(), everyMs });
  if (standing.sourceCondition === 'suspended' && !(await mayTry())) {
    await setAside({ context, held, dead: false });
    return notNow(await putBackFor({ work, trouble: 'misconfigured', hintMs: null }));
  }
  return { kind: 'work', work };
}

function isOver(state: State): boolean {
  return state === 'needs_reauthorization' || state === 'purging' || state === 'purged';
}

/** A key that cannot be opened is an operator's matter, and the sweep must not come back to it each second. */
async function openKey({
  context,
  held,
  authorizationId,
}: {
  readonly context: Context;
  readonly held: Held;
  readonly authorizationId: string;
}): Promise<DataKey> {
  try {
    return await context.vault.open(authorizationId);
  } catch (error) {
    if (ERRORS[codeOf(error)].retry === 'never') await setAside({ context, held, dead: false });
    throw error;
  }
}

/**
 * An attempt that a crash left open and that cannot be taken up now is parked with its doubt, or the sweep would find it again each second. It is closed only
 * where its token will never be offered again.
 */
async function setAside({
  context: { store },
  held,
  dead,
}: {
  readonly context: Context;
  readonly held: Held;
  readonly dead: boolean;
}): Promise<void> {
  const intent = await store.intent(held.fence.authorizationId);
  if (intent === null || intent.parked) return;
  if (dead) await store.closeIntent(held.fence);
  else await store.parkIntent({ ...held.fence, ...intent, unsure: true });
}

async function guarded({
  work,
  body,
}: {
  readonly work: Work;
  readonly body: (work: Work) => Promise<JobOutcome>;
}): Promise<JobOutcome> {
  try {
    return await body(work);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'database_unreachable') throw error;
    work.context.log.error('run_failed', { authorizationId: work.authorization.id, code, frames: framesOf(error) });
    return putBack({ work, code, afterMs: null });
  }
}
