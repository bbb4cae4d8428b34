import type { TroubleKind } from '../core/authorization.ts';
import type { Instant } from '../core/clock.ts';
import { LIMITS } from '../core/limits.ts';
import type { SourceCondition } from '../core/ports/source-condition.ts';
import type { Intent } from '../core/ports/store.ts';
import type { Introspection, SpendOptions } from '../core/ports/upstream.ts';
import type { TokenGrant, TokenOutcome, TokenReply } from '../core/token-outcome.ts';
import { judgeTokenReply } from '../core/token-outcome.ts';
import type { Context } from './context.ts';
import type { Held } from './lease.ts';

/** How the spending of one single-use token ended. */
export type Spending =
  /** `unsureAt` is when an attempt before this one was sent without an answer, if one was; on the store's clock. */
  | {
      readonly kind: 'granted';
      readonly grant: TokenGrant;
      readonly sentAt: Instant;
      readonly unsureAt: Instant | null;
    }
  | { readonly kind: 'refused'; readonly unsureBefore: boolean }
  /** No verdict: the token is kept and offered again. */
  | { readonly kind: 'trouble'; readonly trouble: TroubleKind; readonly hintMs: number | null }
  /** Nothing was sent: the process stops, or the lease is gone. */
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'superseded' };

type Verdictless = Exclude<TokenOutcome, { readonly kind: 'granted' | 'refused' }>;

const NOT_SENT: Verdictless = { kind: 'outage', reason: 'not_sent', maybeSpent: false, retryAfterMs: null };

/** What is to be spent, by whom, and what earlier attempts with the same token have left. */
type Spend = {
  readonly work: {
    readonly context: Context;
    readonly held: Held;
    readonly authorization: { readonly id: string };
    readonly source: { readonly name: string };
  };
  readonly kind: Intent['kind'];
  readonly tokenVersion: number;
  readonly earlier: Intent | null;
  readonly send: (options: SpendOptions) => Promise<TokenReply>;
  /** Asks the source whether the token still lives; for refusals that do not say why. */
  readonly lookAgain?: (options: { readonly signal: AbortSignal }) => Promise<Introspection>;
  readonly judge?: (reply: TokenReply) => TokenOutcome;
};

/** What is known of the token so far: whether an attempt may have used it up, and since when it is refused without a reason. */
type Doubt = { unsureAt: Instant | null; unclearSince: Instant | null };

/** How many times, and with which waits, a token whose fate is unsure is offered again within one run. */
const TRIES = [0, ...LIMITS.refreshTryWaitsMs];

/**
 * Spends a token that may be good for one use only (design, section 6). A durable intent comes first, which also proves that the store can be written and
 * renews the lease; then one POST, put on the wire only while that lease is surely ours. While the outcome is unsure the same token is offered again,
 * inside the grace windows seen in the field. The POST is never cancelled by a shutdown or a lost lease: its reply may be the only copy of the next
 * token, and it ends by its own deadline.
 */
export async function spendOnce(spend: Spend): Promise<Spending> {
  const { context, held } = spend.work;
  const doubt = doubtOf(spend);
  // Withheld each time: the connection took longer than a token may wait for it, so the source is as good as away.
  let last: Verdictless = NOT_SENT;
  for (const waitMs of TRIES) {
    const { clock } = context;
    await clock.sleep(waitMs === 0 ? 0 : Math.max(LIMITS.retryMinWallMs, clock.toWallMs(waitMs)), held.signal);
    if (held.signal.aborted || context.stopping.aborted) return leaveOpen(spend, doubt);
    const sentAt = clock.now();
    // What other workers will compare with: their clocks may be hours from this one's.
    const startedAt = held.storeNow();
    const reply = await attempt({ spend, doubt, startedAt });
    if (reply === 'superseded') return { kind: 'superseded' };
    if (reply.kind === 'no_reply' && reply.reason === 'withheld') continue;
    const outcome = (spend.judge ?? judgeTokenReply)(reply);
    if (outcome.kind === 'granted') return { ...outcome, sentAt, unsureAt: doubt.unsureAt };
    report(spend, outcome);
    if (outcome.kind === 'refused') return refused(spend, doubt);
    last = outcome;
    if (!mayHaveSpent(outcome)) break;
    doubt.unsureAt = startedAt;
  }
  return withoutVerdict({ spend, doubt, outcome: last });
}

function doubtOf({ earlier, tokenVersion }: Spend): Doubt {
  if (earlier === null || earlier.tokenVersion !== tokenVersion) return { unsureAt: null, unclearSince: null };
  // An intent that nobody parked was left by a crash: its request may have been sent.
  const unsure = earlier.unsure || !earlier.parked;
  return { unsureAt: unsure ? earlier.startedAt : null, unclearSince: earlier.unclearSince };
}

/** One durable intent and one POST. */
async function attempt({
  spend: { work, kind, tokenVersion, send },
  doubt,
  startedAt,
}: {
  readonly spend: Spend;
  readonly doubt: Doubt;
  readonly startedAt: Instant;
}): Promise<TokenReply | 'superseded'> {
  const { context, held, authorization } = work;
  const sinceOpened = context.clock.stopwatch();
  const intent: Intent = {
    authorizationId: authorization.id,
    kind,
    attemptId: context.entropy.id(),
    tokenVersion,
    startedAt,
    parked: false,
    unsure: doubt.unsureAt !== null,
    unclearSince: doubt.unclearSince,
  };
  const lease = { owner: context.owner, leaseMs: LIMITS.leaseMs };
  if ((await context.store.openIntent({ ...held.fence, intent, lease })) === 'superseded') return 'superseded';
  const mayStillSend = () => !context.stopping.aborted && sinceOpened() < LIMITS.sendWithinMs;
  return send({ mayStillSend, signal: new AbortController().signal });
}

function mayHaveSpent(outcome: Verdictless): boolean {
  return outcome.kind === 'unsure' || (outcome.kind === 'outage' && outcome.maybeSpent);
}

/** A refusal of one token still proves that the source answers and takes our client. */
async function refused({ work: { context, source } }: Spend, doubt: Doubt): Promise<Spending> {
  await context.store.clearSource({ source: source.name, at: context.clock.now() });
  return { kind: 'refused', unsureBefore: doubt.unsureAt !== null };
}

/** What the last answer of a run without a verdict means: the source is noted once, a second look taken where one is due, the doubt kept. */
async function withoutVerdict({
  spend,
  doubt,
  outcome,
}: {
  readonly spend: Spend;
  readonly doubt: Doubt;
  readonly outcome: Verdictless;
}): Promise<Spending> {
  const { context, source } = spend.work;
  if (outcome.kind === 'unclear') return secondLook(spend, doubt);
  const condition = CONDITIONS[outcome.kind];
  await context.store.noteSource({ source: source.name, condition, at: context.clock.now() });
  const hintMs = 'retryAfterMs' in outcome ? outcome.retryAfterMs : null;
  return settle(spend, doubt, { kind: 'trouble', trouble: TROUBLES[outcome.kind], hintMs });
}

const CONDITIONS = {
  client_refused: 'suspended',
  throttled: 'throttled',
  outage: 'outage',
  unsure: 'outage',
} as const satisfies Record<string, SourceCondition>;

const TROUBLES = {
  client_refused: 'misconfigured',
  throttled: 'throttled',
  outage: 'outage',
  unsure: 'unsure',
} as const satisfies Record<string, TroubleKind>;

/**
 * A refusal that may mean a dead token and may mean something else (`invalid_request`) is believed when the source, asked, calls the token dead, or when
 * it comes again a good while later (contract, section 11).
 */
async function secondLook(spend: Spend, doubt: Doubt): Promise<Spending> {
  const { lookAgain } = spend;
  const { clock } = spend.work.context;
  const signal = AbortSignal.timeout(LIMITS.introspectionTimeoutMs);
  const told = lookAgain === undefined ? { kind: 'unknown' } : await lookAgain({ signal });
  const now = clock.now();
  const again = doubt.unclearSince !== null && now - doubt.unclearSince >= LIMITS.secondLookAfterMs;
  if (told.kind === 'inactive' || (told.kind === 'unknown' && again)) {
    return refused(spend, doubt);
  }
  doubt.unclearSince ??= now;
  return settle(spend, doubt, { kind: 'trouble', trouble: 'unsure', hintMs: LIMITS.secondLookAfterMs });
}

/** The intent stays, parked, while the token's fate is in doubt; without a doubt it is closed. */
async function settle(spend: Spend, doubt: Doubt, spending: Spending): Promise<Spending> {
  const { context, held, authorization } = spend.work;
  const { store } = context;
  const unsure = doubt.unsureAt !== null;
  const { unclearSince } = doubt;
  const intent = unsure || unclearSince !== null ? await store.intent(authorization.id) : null;
  const written =
    intent === null
      ? await store.closeIntent(held.fence)
      : await store.parkIntent({ ...held.fence, attemptId: intent.attemptId, unsure, unclearSince });
  return written === 'superseded' ? { kind: 'superseded' } : spending;
}

/** A stop in the middle: what is in doubt is left open, so that the next worker takes it up within seconds. */
function leaveOpen(spend: Spend, doubt: Doubt): Promise<Spending> | Spending {
  const cancelled = { kind: 'cancelled' } as const;
  return doubt.unsureAt !== null || spend.work.held.signal.aborted ? cancelled : settle(spend, doubt, cancelled);
}

function report({ work, kind }: Spend, outcome: Exclude<TokenOutcome, { readonly kind: 'granted' }>): void {
  const { context, authorization, source } = work;
  const reason = 'reason' in outcome ? outcome.reason : outcome.kind;
  context.log.warn('token_not_granted', { authorizationId: authorization.id, source: source.name, reason, job: kind });
}
