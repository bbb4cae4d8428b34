import type { Insertable, Selectable } from 'kysely';
import type { Intent, SealedTokens } from '../../core/ports/store.ts';
import { INTENT_KIND_SET, member, toBytes, toNumber } from './columns.ts';
import type { Tables } from './tables.ts';

/** Sealed tokens as the columns of their row, the owner left out. */
export function toTokenColumns(tokens: SealedTokens): Omit<Insertable<Tables['tokens']>, 'authorization_id'> {
  return {
    version: tokens.version,
    has_refresh_token: tokens.hasRefreshToken,
    access_expires_at: tokens.accessExpiresAt,
    access_lifetime_ms: tokens.accessLifetimeMs,
    refresh_expires_at: tokens.refreshExpiresAt,
    doubt_at: tokens.doubtAt,
    sealed: tokens.sealed,
  };
}

/** The names of those columns; the compiler finds one that is missing. */
export const TOKEN_COLUMNS: readonly string[] = Object.keys({
  version: true,
  has_refresh_token: true,
  access_expires_at: true,
  access_lifetime_ms: true,
  refresh_expires_at: true,
  doubt_at: true,
  sealed: true,
} satisfies Record<keyof ReturnType<typeof toTokenColumns>, true>);

/** The row of an authorization's tokens as core knows it. */
export function toTokens(row: Selectable<Tables['tokens']>): SealedTokens {
  return {
    version: toNumber(row.version),
    hasRefreshToken: row.has_refresh_token,
    accessExpiresAt: row.access_expires_at,
    accessLifetimeMs: row.access_lifetime_ms,
    refreshExpiresAt: row.refresh_expires_at,
    doubtAt: row.doubt_at,
    sealed: toBytes(row.sealed),
  };
}

/** An intent as the columns of its row, the owner left out. */
export function toIntentColumns(intent: Intent): Omit<Insertable<Tables['intents']>, 'authorization_id'> {
  return {
    kind: intent.kind,
    attempt_id: intent.attemptId,
    token_version: intent.tokenVersion,
    started_at: intent.startedAt,
    unsure: intent.unsure,
    parked: intent.parked,
    unclear_since: intent.unclearSince,
  };
}

/** The names of those columns; the compiler finds one that is missing. */
export const INTENT_COLUMNS: readonly string[] = Object.keys({
  kind: true,
  attempt_id: true,
  token_version: true,
  started_at: true,
  unsure: true,
  parked: true,
  unclear_since: true,
} satisfies Record<keyof ReturnType<typeof toIntentColumns>, true>);

/** The row of an intent as core knows it. */
export function toIntent(row: Selectable<Tables['intents']>): Intent {
  return {
    authorizationId: row.authorization_id,
    kind: member(INTENT_KIND_SET, row.kind),
    attemptId: row.attempt_id,
    tokenVersion: toNumber(row.token_version),
    startedAt: row.started_at,
    unsure: row.unsure,
    parked: row.parked,
    unclearSince: row.unclear_since,
  };
}
