import { type Selectable, sql } from 'kysely';
import type { Standing } from '../../core/ports/store.ts';
import { toAuthorization } from './authorization-row.ts';
import { member, SOURCE_CONDITION_SET } from './columns.ts';
import type { Big, Tables } from './tables.ts';
import { toIntent, toTokens } from './token-row.ts';

type Nullable<T> = { readonly [K in keyof T]: T[K] | null };
type Tokens = Omit<Selectable<Tables['tokens']>, 'authorization_id'>;
type Intent = Omit<Selectable<Tables['intents']>, 'authorization_id' | 'token_version'>;

/** The rows behind a lease side by side; what is not there is null all over. */
export type StandingRow = Selectable<Tables['authorizations']> &
  Nullable<Tokens> &
  Nullable<Intent> & { readonly intent_version: Big | null; readonly source_condition: string | null };

/** What is read of the rows that `perennial.take_lease` gives. */
export const STANDING = sql`
  (authorization_row).*, source_condition,
  (tokens_row).version, (tokens_row).has_refresh_token, (tokens_row).access_expires_at, (tokens_row).access_lifetime_ms,
  (tokens_row).refresh_expires_at, (tokens_row).doubt_at, (tokens_row).sealed,
  (intent_row).kind, (intent_row).attempt_id, (intent_row).token_version as intent_version, (intent_row).started_at,
  (intent_row).unsure, (intent_row).parked, (intent_row).unclear_since`;

/** The rows as core knows them; null where there is no authorization. */
export function toStanding(row: Nullable<StandingRow>): Standing | null {
  if (!isThere(row)) return null;
  const { id: authorization_id, intent_version: token_version } = row;
  return {
    authorization: toAuthorization(row),
    tokens: hasTokens(row) ? toTokens({ ...row, authorization_id }) : null,
    intent: hasIntent(row) && token_version !== null ? toIntent({ ...row, authorization_id, token_version }) : null,
    sourceCondition: row.source_condition === null ? null : member(SOURCE_CONDITION_SET, row.source_condition),
  };
}

function isThere(row: Nullable<StandingRow>): row is StandingRow {
  return row.id !== null;
}

function hasTokens<R extends Nullable<Tokens>>(row: R): row is R & Tokens {
  return row.version !== null;
}

function hasIntent<R extends Nullable<Intent>>(row: R): row is R & Intent {
  return row.kind !== null;
}
