import type { Instant } from '../core/clock.ts';
import { LIMITS } from '../core/limits.ts';
import type { Intent } from '../core/ports/store.ts';
import type { TokenGrant, TokenOutcome, TokenReply } from '../core/token-outcome.ts';
import { judgeTokenReply } from '../core/token-outcome.ts';
import type { Context } from './context.ts';
import type { Held } from './lease.ts';

/** How the spending of one single-use token ended. */
export type Spending =
  | { readonly kind: 'granted'; readonly grant: TokenGrant; readonly sentAt: Instant }
  | { readonly kind: 'refused'; readonly unsureBefore: boolean }
  | { readonly kind: 'client_refused' }
  | { readonly kind: 'throttled'; readonly retryAfterMs: number | null }
  | { readonly kind: 'unsure' }
  /** Nothing was sent: the process stops, or the lease is gone. */
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'superseded' };

/** How many times, and with which waits, a token whose fate is unsure is offered again within one run. */
const TRIES = [0, ...LIMITS.refreshTryWaitsMs];

/**
 * Spends a token that may be good for one use only. A durable intent comes first, which also proves that the store can be written;
 * then one POST. While the outcome is unsure the same token is offered again, inside the grace windows seen in the field.
 * The POST is never cancelled by a shutdown or a lost lease: its reply may be the only copy of the next token, and it ends by its own deadline.
 */
export async function spendOnce({
  work: { context, held, authorization, source },
  kind,
  tokenVersion,
  unsureBefore,
  send,
  judge = judgeTokenReply,
}: {
  readonly work: {
    readonly context: Context;
    readonly held: Held;
    readonly authorization: { readonly id: string };
    readonly source: { readonly name: string };
  };
  readonly kind: Intent['kind'];
  readonly tokenVersion: number;
  readonly unsureBefore: boolean;
  readonly send: (signal: AbortSignal) => Promise<TokenReply>;
  readonly judge?: (reply: TokenReply) => TokenOutcome;
}): Promise<Spending> {
  const { store, clock, entropy, log } = context;
  let unsure = unsureBefore;
  for (const waitMs of TRIES) {
    await clock.sleep(waitMs === 0 ? 0 : Math.max(LIMITS.retryMinWallMs, clock.toWallMs(waitMs)), held.signal);
    if (held.signal.aborted || context.stopping.aborted) return { kind: 'cancelled' };
    const begunAt = clock.wallNow();
    const attemptId = entropy.id();
    const sentAt = clock.now();
    const authorizationId = authorization.id;
    const intent: Intent = { authorizationId, kind, attemptId, tokenVersion, startedAt: sentAt, unsure, parked: false };
    if ((await store.openIntent({ ...held.fence, intent })) === 'superseded') return { kind: 'superseded' };
    // A process that was frozen here may have lost its lease to somebody who has spent the token since.
    if (clock.wallNow() - begunAt > LIMITS.leaseMs / 2) continue;
    const outcome = judge(await send(new AbortController().signal));
    if (outcome.kind === 'granted') return { ...outcome, sentAt };
    log.warn('token_not_granted', { authorizationId, source: source.name, reason: reasonOf(outcome), job: kind });
    if (outcome.kind !== 'unsure') return close({ context, held, outcome, unsure, source: source.name });
    unsure = true;
    if ((await store.parkIntent({ ...held.fence, attemptId })) === 'superseded') return { kind: 'superseded' };
  }
  return { kind: 'unsure' };
}

/** A definite answer clears the intent, unless an earlier one of the same token is still unaccounted for and the server never looked. */
async function close({
  context,
  held,
  outcome,
  unsure,
  source,
}: {
  readonly context: Context;
  readonly held: Held;
  readonly outcome: Exclude<TokenOutcome, { readonly kind: 'granted' | 'unsure' }>;
  readonly unsure: boolean;
  readonly source: string;
}): Promise<Spending> {
  const { store, clock } = context;
  if (outcome.kind === 'refused') return { kind: 'refused', unsureBefore: unsure };
  if (outcome.kind === 'client_refused') await store.suspendSource({ source, at: clock.now() });
  const intent = await store.intent(held.fence.authorizationId);
  const kept = unsure && intent !== null;
  const written = kept
    ? await store.parkIntent({ ...held.fence, attemptId: intent.attemptId })
    : await store.closeIntent(held.fence);
  if (written === 'superseded') return { kind: 'superseded' };
  return outcome.kind === 'client_refused'
    ? { kind: 'client_refused' }
    : { kind: 'throttled', retryAfterMs: outcome.retryAfterMs };
}

function reasonOf(outcome: TokenOutcome): string {
  return outcome.kind === 'unsure' ? outcome.reason : outcome.kind;
}
