import { type Authorization, isReadable } from '../core/authorization.ts';
import { leadMs } from '../core/cadence.ts';
import { type ErrorCode, PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { TROUBLE_CODES } from '../core/retry.ts';
import { notGiven } from './conclude.ts';
import type { Context } from './context.ts';
import { type AccessOutcome, ensureAccessToken, type GivenToken } from './refresh.ts';
import { openTokens } from './token-vault.ts';
import { takeUp } from './work.ts';

/** Hands out access tokens; of callers who ask for the same authorization at once, one looks and all get what it found. */
export type TokenDesk = (request: { readonly authorizationId: string; readonly actor: string }) => Promise<HandedToken>;

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
  return async ({ authorizationId, actor }) => {
    const handed = await within({ context, work: underWay.get(authorizationId) ?? share(authorizationId) });
    const at = context.clock.now();
    await context.store.appendAudit({ at, authorizationId, actor, action: 'read:token', reason: null });
    return handed;
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

/** Looks at the stored token until it is valid for a while: refreshes it under the lease, or waits for whoever does. */
async function find(looking: Looking): Promise<HandedToken> {
  const { clock } = looking.context;
  const since = clock.stopwatch();
  for (;;) {
    const stored = await valid(looking);
    if (stored !== null) return stored;
    const refreshed = await refresh(looking);
    if (refreshed === 'looked') {
      const brought = await valid(looking);
      if (brought !== null) return brought;
    }
    if (since() > LIMITS.tokenWaitMaxMs) throw new PerennialError('lease_taken');
    await clock.sleep(LIMITS.tokenLookEveryMs);
  }
}

/** The stored token where it lasts long enough; a token that is committed may be used, whatever is under way. */
async function valid({ context, authorizationId }: Looking): Promise<HandedToken | null> {
  const { store, vault, clock } = context;
  const authorization = await store.get(authorizationId);
  if (authorization === null) throw new PerennialError('authorization_not_found');
  const now = clock.now();
  if (!isReadable(authorization, now)) throw new PerennialError('authorization_ended');
  if (authorization.state === 'needs_reauthorization') throw new PerennialError('authorization_dead');
  if (authorization.state !== 'active') throw new PerennialError('authorization_not_active');
  const tokens = await store.tokens(authorizationId);
  if (tokens === null) throw new PerennialError('internal', { field: 'tokens' });
  const leastMs = Math.min(LIMITS.tokenMinValidityMs, leadMs(tokens.accessLifetimeMs));
  // What cannot be refreshed is handed out to its last moment.
  const until = tokens.accessExpiresAt - (tokens.hasRefreshToken ? leastMs : 0);
  if (now >= until) return null;
  const { accessToken, patient } = openTokens({ key: await vault.open(authorizationId), row: tokens });
  if (accessToken === null) throw new PerennialError('unseal_failed');
  const given = { kind: 'token', accessToken, tokens } as const;
  return { authorization, given, patient: patient?.reveal() ?? null };
}

/** One refresh under the lease, as a run would do it; what stands in its way is written down as for a run, and thrown. */
async function refresh({ context, authorizationId }: Looking): Promise<'looked' | 'taken'> {
  const seen: { access: AccessOutcome | null } = { access: null };
  const signal = new AbortController().signal;
  const outcome = await takeUp({ context, authorizationId, signal, wanted: 'active' }, async (work) => {
    const neededUntil = context.clock.now() + LIMITS.tokenMinValidityMs;
    const access = await ensureAccessToken({ ...work, neededUntil, rejected: false });
    seen.access = access;
    return access.kind === 'token' ? { kind: 'done', reason: 'refreshed' } : notGiven({ work, access });
  });
  const { access } = seen;
  if (access === null) return notLooked(outcome);
  if (access.kind === 'dead') throw new PerennialError('authorization_dead');
  if (access.kind === 'later' && access.meanwhile === null) {
    throw new PerennialError(TROUBLE_CODES[access.trouble], retryHint(access.hintMs));
  }
  if (access.kind === 'cancelled') throw new PerennialError('cancelled');
  return 'looked';
}

/** The lease was taken, or the run was put back before it began (a suspended source, a store that is away). */
function notLooked(outcome: Awaited<ReturnType<typeof takeUp>>): 'looked' | 'taken' {
  if (outcome.kind === 'again' && outcome.reason === 'lease_taken') return 'taken';
  if (outcome.kind === 'done' && !SOURCE_CODES.has(outcome.reason)) return 'looked';
  throw new PerennialError(codeOfReason(outcome.kind === 'failed' ? outcome.code : outcome.reason));
}

const SOURCE_CODES: ReadonlySet<string> = new Set(Object.values(TROUBLE_CODES));
const CODES: readonly ErrorCode[] = [
  ...Object.values(TROUBLE_CODES),
  'database_unreachable',
  'key_missing',
  'unseal_failed',
  'unknown_source',
];

function codeOfReason(reason: string): ErrorCode {
  return CODES.find((code) => code === reason) ?? 'internal';
}

function retryHint(hintMs: number | null): { readonly retryAfterMs?: number } {
  return hintMs === null ? {} : { retryAfterMs: hintMs };
}
