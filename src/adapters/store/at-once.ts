import { type RawBuilder, sql } from 'kysely';
import type { AuthorizationPatch, Store } from '../../core/ports/store.ts';
import { toColumns } from './authorization-row.ts';
import { kept } from './kept.ts';
import { endOf, RELEASED } from './leases.ts';
import type { Db } from './tables.ts';
import { toIntentColumns, toTokenColumns } from './token-row.ts';

/*
 * The writes of an ordinary run, each in one statement: one round trip, one commit. They do what the transactions beside them do (fenced.ts), or nothing at all:
 * a statement that finds anything out of the ordinary (another fence, another version, a purge, a move that has to be told) says so, and the transaction decides.
 * The rows that decide are locked together, so that what a wait for them has let through is seen.
 */

/** Moves, and doubts that begin or end, have an entry or an event beside them. */
function isPlain({ state, stateReason, trouble }: AuthorizationPatch): boolean {
  return state === undefined && stateReason === undefined && trouble?.kind !== 'unsure';
}

/** A doubt that this patch would end is told as an event. */
const noDoubtEnds = ({ trouble }: AuthorizationPatch) =>
  trouble === undefined ? sql`true` : sql`a.trouble is distinct from 'unsure'`;

/** {@link Store.update} in one statement; false where it did nothing. */
export async function updateAtOnce({
  db,
  authorizationId: id,
  fence,
  patch,
  release,
}: Parameters<Store['update']>[0] & { readonly db: Db }): Promise<boolean> {
  const set = assignmentsOf(toColumns(patch));
  if (set === null || !isPlain(patch)) return false;
  const released =
    release === undefined
      ? sql``
      : sql`, released as (
          update perennial.leases set ${RELEASED}
          where authorization_id = ${id} and fence = ${fence} and owner = ${release.owner} and exists (select from standing))`;
  return isDone(
    db,
    sql`${kept}
      with standing as (
        select from perennial.leases as l join perennial.authorizations as a on a.id = l.authorization_id
        where l.authorization_id = ${id} and l.fence = ${fence} and a.state <> 'purged' and ${noDoubtEnds(patch)}
        for no key update of l, a)${released}
      update perennial.authorizations set ${set} where id = ${id} and exists (select from standing) returning 1`,
  );
}

/** {@link Store.openIntent} in one statement; false where it did nothing. */
export function openIntentAtOnce({
  db,
  authorizationId: id,
  fence,
  intent,
  lease: { owner, leaseMs },
}: Parameters<Store['openIntent']>[0] & { readonly db: Db }): Promise<boolean> {
  const columns = Object.entries(toIntentColumns(intent));
  const names = sql.join(columns.map(([name]) => sql.ref(name)));
  const values = sql.join(columns.map(([, value]) => sql`${value}`));
  return isDone(
    db,
    sql`${kept}
      with held as (
        update perennial.leases set expires_at = ${endOf(leaseMs)}
        where authorization_id = ${id} and fence = ${fence} and owner = ${owner} and not released and exists (
          select from perennial.authorizations where id = ${id} and state not in ('purging', 'purged'))
        returning authorization_id)
      insert into perennial.intents (authorization_id, ${names}) select authorization_id, ${values} from held
      on conflict (authorization_id) do update set ${sql.join(
        columns.map(([name]) => sql`${sql.ref(name)} = excluded.${sql.ref(name)}`),
      )}
      returning 1`,
  );
}

/** {@link Store.commitTokens} in one statement; false where it did nothing. */
export async function commitTokensAtOnce({
  db,
  authorizationId: id,
  fence,
  expectedVersion,
  tokens,
  patch,
}: Parameters<Store['commitTokens']>[0] & { readonly db: Db }): Promise<boolean> {
  const set = assignmentsOf(toColumns(patch));
  if (set === null || !isPlain(patch)) return false;
  return isDone(
    db,
    sql`${kept}
      with standing as (
        select from perennial.leases as l
          join perennial.authorizations as a on a.id = l.authorization_id
          join perennial.tokens as t on t.authorization_id = l.authorization_id
        where l.authorization_id = ${id} and l.fence = ${fence} and t.version = ${expectedVersion}
          and a.state not in ('purging', 'purged') and ${noDoubtEnds(patch)}
        for no key update of l, a, t),
      closed as (
        delete from perennial.intents where authorization_id = ${id} and exists (select from standing)),
      patched as (
        update perennial.authorizations set ${set} where id = ${id} and exists (select from standing))
      update perennial.tokens set ${assignmentsOf(toTokenColumns(tokens)) ?? sql``}
      where authorization_id = ${id} and version = ${expectedVersion} and exists (select from standing) returning 1`,
  );
}

async function isDone(db: Db, statement: RawBuilder<unknown>): Promise<boolean> {
  return (await statement.execute(db)).rows.length === 1;
}

function assignmentsOf(columns: Readonly<Record<string, unknown>>): RawBuilder<unknown> | null {
  const entries = Object.entries(columns);
  if (entries.length === 0) return null;
  return sql.join(entries.map(([name, value]) => sql`${sql.ref(name)} = ${value}`));
}
