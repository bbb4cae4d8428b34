import { type Authorization, isReadable } from '../core/authorization.ts';
import { leadMs } from '../core/cadence.ts';
import { endThatHasCome } from '../core/calendar.ts';
import { type ErrorCode, PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { TROUBLE_CODES } from '../core/retry.ts';
import { notGiven } from './conclude.ts';
import type { Context } from './context.ts';
import { type AccessOutcome, ensureAccessToken, type GivenToken } from './refresh.ts';
import { takeUp } from './take-up.ts';
import { openTokens } from './token-vault.ts';
import type { Work } from './work.ts';

/** Hands out access tokens; of callers who ask for the same authorization at once, one looks and all get what it found. */
export type TokenDesk = {
  readonly hand: (request: { readonly authorizationId: string; readonly actor: string }) => Promise<HandedToken>;
  /** Resolves when no token is under way any more: a stop waits for it, since a reply may be the only copy of the next refresh token. */
  readonly settled: () => Promise<void>;
};

export type HandedToken = {
  readonly authorization: Authorization;
  readonly given: GivenToken;
  readonly patient: string | null;
};

/**
 * A valid access token for a calling service, refreshed through the same lease as every run, so that no number of callers, here and at other workers,
 * makes more than one request of one due token. Every token handed out stands in the audit trail.
 * @throws PerennialError `authorization_ended`, `authorization_not_active`, `authorization_dead`, or what stands in the refresh's way.
 */
export function createTokenDesk(context: Context): TokenDesk {
  const underWay = new Map<string, Promise<HandedToken>>();
  const share = (authorizationId: string): Promise<HandedToken> => {
    const shared = find({ context, authorizationId }).finally(() => underWay.delete(authorizationId));
    underWay.set(authorizationId, shared);
    return shared;
  };
  return {
    hand: async ({ authorizationId, actor }) => {
      const handed = await within({ context, work: underWay.get(authorizationId) ?? share(authorizationId) });
      const at = context.clock.now();
      await context.store.appendAudit({ at, authorizationId, actor, action: 'read:token', reason: null });
      return handed;
    },
    settled: async () => {
      await Promise.allSettled(underWay.values());
    },
  };
}

/** What the work brings, or `upstream_timeout` once the caller has waited long enough; the work goes on without him, since a token may be under way. */
async function within<T>({ context, work }: { readonly context: Context; readonly work: Promise<T> }): Promise<T> {
  const answered = new AbortController();
  const tooLong = context.clock.sleep(LIMITS.tokenWaitMaxMs, answered.signal).then(() => {
    throw new PerennialError('upstream_timeout');
  });
  try {
    return await Promise.race([work, tooLong]);
  } finally {
    tooLong.catch(() => undefined);
    work.catch(() => undefined);
    answered.abort();
  }
}

type Looking = { readonly context: Context; readonly authorizationId: string };

/** The stored token where it is valid for a while; else one refresh under the lease, or the wait for whoever holds it. */
async function find(looking: Looking): Promise<HandedToken> {
  const { clock } = looking.context;
  const since = clock.stopwatch();
  while (since() <= LIMITS.tokenWaitMaxMs) {
    const stored = await valid(looking);
    if (stored !== null) return stored;
    const refreshed = await refresh(looking);
    if (refreshed !== 'taken') return refreshed;
    await clock.sleep(LIMITS.tokenLookEveryMs);
  }
  throw new PerennialError('lease_taken');
}

/** The stored token where it lasts long enough; a token that is committed may be used, whatever is under way. */
async function valid({ context, authorizationId }: Looking): Promise<HandedToken | null> {
  const { store, vault, clock } = context;
  const authorization = await store.get(authorizationId);
  if (authorization === null) throw new PerennialError('authorization_not_found');
  const now = clock.now();
  refuseEnded({ authorization, now });
  const tokens = await store.tokens(authorizationId);
  if (tokens === null) throw new PerennialError('internal', { field: 'tokens' });
  const leastMs = Math.min(LIMITS.tokenMinValidityMs, leadMs(tokens.accessLifetimeMs));
  // What cannot be refreshed is handed out to its last moment.
  const until = tokens.accessExpiresAt - (tokens.hasRefreshToken ? leastMs : 0);
  if (now >= until) return null;
  const { accessToken, patient } = openTokens({ key: await vault.open(authorizationId), row: tokens });
  if (accessToken === null) throw new PerennialError('unseal_failed');
  return { authorization, given: { kind: 'token', accessToken, tokens }, patient: patient?.reveal() ?? null };
}

function refuseEnded({ authorization, now }: { readonly authorization: Authorization; readonly now: number }): void {
  const over = endThatHasCome({ ends: authorization.ends, now }) !== null;
  if (!isReadable(authorization, now)) throw new PerennialError('authorization_ended');
  if (over || authorization.state === 'needs_reauthorization') throw new PerennialError('authorization_dead');
  // Its token is dead at the source, by our own doing.
  if (authorization.upstreamEnd !== null) throw new PerennialError('authorization_not_active');
  if (authorization.state !== 'active') throw new PerennialError('authorization_not_active');
}

/** One refresh under the lease, as a run would do it; what stands in its way is written down as for a run, and thrown. */
async function refresh({ context, authorizationId }: Looking): Promise<HandedToken | 'taken'> {
  const seen: { work: Work | null; access: AccessOutcome | null } = { work: null, access: null };
  const signal = new AbortController().signal;
  const outcome = await takeUp(
    { context, authorizationId, signal, wanted: 'active', part: 'tokens_only' },
    async (work) => {
      const now = context.clock.now();
      const toldToWait = now < (work.authorization.trouble?.until ?? 0);
      const neededUntil = now + LIMITS.tokenMinValidityMs;
      const access = await ensureAccessToken({ ...work, neededUntil, rejected: false });
      Object.assign(seen, { work, access });
      if (access.kind === 'token') return { kind: 'done', reason: 'refreshed' };
      return toldToWait ? { kind: 'done', reason: 'told_to_wait' } : notGiven({ work, access });
    },
  );
  const { work, access } = seen;
  if (work === null || access === null) return notLooked(outcome);
  const given = access.kind === 'later' ? access.meanwhile : access;
  if (given?.kind === 'token') return handed({ work, given });
  if (access.kind === 'later') throw new PerennialError(TROUBLE_CODES[access.trouble], retryHint(access.hintMs));
  if (access.kind === 'superseded') return 'taken';
  throw new PerennialError(access.kind === 'dead' ? 'authorization_dead' : 'cancelled');
}

function handed({ work, given }: { readonly work: Work; readonly given: GivenToken }): HandedToken {
  const { patient } = openTokens({ key: work.key, row: given.tokens });
  return { authorization: work.authorization, given, patient: patient?.reveal() ?? null };
}

/** The lease was taken or the state has changed, and one looks again; or the run was put back before it began (a suspended source, a store that is away). */
function notLooked(outcome: Awaited<ReturnType<typeof takeUp>>): 'taken' {
  if (outcome.kind === 'again' && outcome.reason === 'lease_taken') return 'taken';
  if (outcome.kind === 'done' && outcome.reason.startsWith('state_')) return 'taken';
  const reason = outcome.kind === 'failed' ? outcome.code : outcome.reason;
  throw new PerennialError(CODES.find((code) => code === reason) ?? 'internal');
}

const CODES: readonly ErrorCode[] = [
  ...Object.values(TROUBLE_CODES),
  'database_unreachable',
  'key_missing',
  'unseal_failed',
  'unknown_source',
];

function retryHint(hintMs: number | null): { readonly retryAfterMs?: number } {
  return hintMs === null ? {} : { retryAfterMs: hintMs };
}
