import type { Authorization } from '../core/authorization.ts';
import { deadReasonOfEnd, endThatHasCome } from '../core/calendar.ts';
import { PerennialError } from '../core/errors.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import type { SealedTokens } from '../core/ports/store.ts';
import type { Secret } from '../core/secret.ts';
import { judgeExchangeReply } from '../core/token-outcome.ts';
import { commitGrant } from './commit-grant.ts';
import type { Context } from './context.ts';
import { declareDead } from './end.ts';
import { putBack, putBackFor } from './put-back.ts';
import { rescueGrant } from './rescue.ts';
import { schedule } from './schedule.ts';
import { spendOnce } from './spend.ts';
import { sureNow } from './sure-now.ts';
import { takeUp } from './take-up.ts';
import { throughGate } from './through-gate.ts';
import { type OpenTokens, openTokens } from './token-vault.ts';
import type { Work } from './work.ts';

/** Exchanges the public token of a pending authorization; after that it is active and scheduled. */
export function activate({
  context,
  authorizationId,
  signal,
  recovers = false,
}: {
  readonly context: Context;
  readonly authorizationId: string;
  readonly signal: AbortSignal;
  /** A crash has left an attempt open: its token is offered again now, whatever the gate and other suspects say. */
  readonly recovers?: boolean;
}): Promise<JobOutcome> {
  const part = recovers ? 'tokens_only' : 'run';
  return takeUp({ context, authorizationId, signal, wanted: 'pending', part }, async (work) => {
    const { store } = context;
    const tokens = await store.tokens(authorizationId);
    const opened = tokens === null ? null : openTokens({ key: work.key, row: tokens });
    const publicToken = opened?.publicToken ?? null;
    if (tokens === null || opened === null || publicToken === null)
      throw new PerennialError('internal', { field: 'publicToken' });
    const end = endThatHasCome({ ends: work.authorization.ends, now: await sureNow(context) });
    if (end !== null) {
      const reason = deadReasonOfEnd(end.kind);
      await declareDead({ work, reason });
      return { kind: 'done', reason };
    }
    if (recovers) return exchangeToken({ work, tokens, opened, publicToken });
    return throughGate({ work, needs: 'tokens', askedFor: false }, (inside) =>
      exchangeToken({ work: inside, tokens, opened, publicToken }),
    );
  });
}

async function exchangeToken({
  work,
  tokens,
  opened,
  publicToken,
}: {
  readonly work: Work;
  readonly tokens: SealedTokens;
  readonly opened: OpenTokens;
  readonly publicToken: Secret;
}): Promise<JobOutcome> {
  const {
    context,
    authorization: { id: authorizationId },
  } = work;
  const { exchange } = work.source;
  if (exchange === null) throw new PerennialError('public_token_unsupported');
  const spending = await spendOnce({
    work,
    kind: 'exchange',
    tokenVersion: tokens.version,
    earlier: await context.store.intent(authorizationId),
    send: (options) => exchange({ publicToken, ...options }),
    judge: judgeExchangeReply,
  });
  switch (spending.kind) {
    case 'granted': {
      const { grant, sentAt, unsureAt } = spending;
      const committed = await commitGrant({ work, grant, sentAt, unsureAt, tokens, opened });
      if (committed.kind === 'superseded') {
        return { kind: 'done', reason: await rescueGrant({ work, grant, sentAt, tokens }) };
      }
      const active: Authorization = { ...work.authorization, ...committed.patch };
      context.log.info('activated', { authorizationId, reason: active.usageReason, network: active.network });
      await schedule({ context, fence: work.held.fence, authorization: active });
      return { kind: 'done', reason: 'exchanged' };
    }
    case 'refused': {
      const reason = spending.unsureBefore ? 'ambiguous_exchange' : 'exchange_refused';
      await declareDead({ work, reason });
      return { kind: 'done', reason };
    }
    case 'superseded':
      return { kind: 'done', reason: 'superseded' };
    case 'trouble':
      return putBackFor({ work, trouble: spending.trouble, hintMs: spending.hintMs });
    case 'cancelled':
      return putBack({ work, code: 'cancelled', afterMs: 0 });
  }
}
