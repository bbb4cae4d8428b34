import { type RawBuilder, sql } from 'kysely';
import { codeOf } from '../../core/errors.ts';
import type { AsOf, AuthorizationPatch, Store } from '../../core/ports/store.ts';
import { toColumns } from './authorization-row.ts';
import { gathered } from './gather.ts';
import { kept } from './kept.ts';
import { endOf, RELEASED } from './lease-columns.ts';
import type { Session } from './session.ts';
import type { Db } from './tables.ts';
import { toIntentColumns, toTokenColumns } from './token-row.ts';

/*
 * The writes of ordinary runs, each kind of them one statement: those of all runs that write at the same moment go together, with one commit for all. They do what
 * the transactions beside them do (fenced.ts), or nothing at all: where anything is out of the ordinary (another fence, another version, a purge, a row that
 * somebody else has locked, a move that has to be told) one says false, and the transaction decides. The rows that decide are locked together and waited for by
 * nobody, so that no run holds up others.
 */

type Write<I> = (input: I) => Promise<boolean>;
type Given = { readonly authorizationId: string; readonly fence: number };
type Columns = Readonly<Record<string, unknown>>;
type Update = Parameters<Store['update']>[0] & { readonly asOf?: AsOf };

/** {@link Store.update}, {@link Store.openIntent} and {@link Store.commitTokens}, as far as they are ordinary. */
export type AtOnce = {
  readonly update: Write<Update>;
  readonly openIntent: Write<Parameters<Store['openIntent']>[0]>;
  readonly commitTokens: Write<Parameters<Store['commitTokens']>[0]>;
};

/** Writes that go together, each authorization's once in a statement. */
export function atOnce(session: Session): AtOnce {
  const updates = byShape<Update>(session, updateStatement);
  const commits = byShape<Parameters<Store['commitTokens']>[0]>(session, commitStatement);
  return {
    update: async (value) => isPlain(value.patch) && updates(shapeOf(value.patch), value),
    openIntent: writer<Parameters<Store['openIntent']>[0]>(session, openIntentStatement),
    commitTokens: async (value) => isPlain(value.patch) && commits(shapeOf(value.patch), value),
  };
}

/** Moves, and doubts that begin or end, have an entry or an event beside them. */
function isPlain(patch: AuthorizationPatch): boolean {
  const { state, stateReason, trouble } = patch;
  return state === undefined && stateReason === undefined && trouble?.kind !== 'unsure' && shapeOf(patch) !== '';
}

/** The columns of a patch: what has the same ones goes in the same statement. */
function shapeOf(patch: AuthorizationPatch): string {
  return Object.keys(toColumns(patch)).join();
}

/** A doubt that a patch would end is told as an event. */
function noDoubtEnds(shape: string): RawBuilder<unknown> {
  return shape.split(',').includes('trouble') ? sql`a.trouble is distinct from 'unsure'` : sql`true`;
}

function byShape<I extends Given>(
  session: Session,
  statementOf: (inputs: readonly I[], shape: string) => RawBuilder<Done>,
): (shape: string, input: I) => Promise<boolean> {
  const writers = new Map<string, Write<I>>();
  return (shape, input) => {
    const write = writers.get(shape) ?? writer<I>(session, (inputs) => statementOf(inputs, shape));
    writers.set(shape, write);
    return write(input);
  };
}

type Done = { readonly id: string };

/** What is wrong with one of them may keep all from being written: then each is left to its own transaction. */
function writer<I extends Given>(session: Session, statementOf: (inputs: readonly I[]) => RawBuilder<Done>): Write<I> {
  return gathered(async (inputs: readonly I[]) => {
    try {
      const done = await session.query(async (db: Db) => (await statementOf(inputs).execute(db)).rows);
      const ids = new Set(done.map(({ id }) => id));
      return inputs.map(({ authorizationId }) => ids.has(authorizationId));
    } catch (error) {
      if (codeOf(error) === 'database_unreachable') throw error;
      return inputs.map(() => false);
    }
  });
}

function updateStatement(inputs: readonly Update[], shape: string): RawBuilder<Done> {
  const given = inputs.map(({ authorizationId: id, fence, patch, release, asOf }) => {
    const seen = { is_as_of: asOf !== undefined, period_ms: asOf?.periodMs ?? null, told_at: asOf?.toldAt ?? null };
    return { id, fence, releaser: release?.owner ?? null, ...seen, patch: inJson(toColumns(patch)) };
  });
  return sql`${kept}
    with given as (
      select * from jsonb_to_recordset(${JSON.stringify(given)}::jsonb) as one(
        id text, fence bigint, releaser text, is_as_of boolean, period_ms double precision, told_at double precision, patch jsonb)),
    standing as (
      select given.* from given
        join perennial.leases as l on l.authorization_id = given.id and l.fence = given.fence
        join perennial.authorizations as a on a.id = given.id
      where a.state <> 'purged' and ${noDoubtEnds(shape)} and (not given.is_as_of or
        (a.period_ms is not distinct from given.period_ms and a.told_at is not distinct from given.told_at))
      for no key update of l, a skip locked),
    released as (
      update perennial.leases as l set ${RELEASED} from standing where l.authorization_id = standing.id and l.owner = standing.releaser)
    update perennial.authorizations as a set ${assignedFrom('patched', shape)}
    from standing, jsonb_populate_record(null::perennial.authorizations, standing.patch) as patched
    where a.id = standing.id returning a.id`;
}

function openIntentStatement(inputs: readonly Parameters<Store['openIntent']>[0][]): RawBuilder<Done> {
  const given = inputs.map(({ authorizationId: id, fence, intent, lease }) => {
    return { id, fence, owner: lease.owner, lease_ms: lease.leaseMs, intent: toIntentColumns(intent) };
  });
  const names = Object.keys(given[0]?.intent ?? {});
  return sql`${kept}
    with given as (
      select * from jsonb_to_recordset(${JSON.stringify(given)}::jsonb) as one(
        id text, fence bigint, owner text, lease_ms double precision, intent jsonb)),
    held as (
      select given.* from given
        join perennial.leases as l on l.authorization_id = given.id and l.fence = given.fence
        join perennial.authorizations as a on a.id = given.id
      where l.owner = given.owner and not l.released and a.state not in ('purging', 'purged')
      for no key update of l skip locked),
    renewed as (
      update perennial.leases as l set expires_at = ${endOf(sql`held.lease_ms`)} from held where l.authorization_id = held.id)
    insert into perennial.intents (authorization_id, ${sql.join(names.map((name) => sql.ref(name)))})
    select held.id, ${sql.join(names.map((name) => sql.ref(`opened.${name}`)))}
    from held, jsonb_populate_record(null::perennial.intents, held.intent) as opened
    on conflict (authorization_id) do update set ${assignedFrom('excluded', names.join())}
    returning authorization_id as id`;
}

function commitStatement(inputs: readonly Parameters<Store['commitTokens']>[0][], shape: string): RawBuilder<Done> {
  const given = inputs.map(({ authorizationId: id, fence, expectedVersion, tokens, patch }) => {
    return {
      id,
      fence,
      expected: expectedVersion,
      tokens: inJson(toTokenColumns(tokens)),
      patch: inJson(toColumns(patch)),
    };
  });
  const ofTokens = Object.keys(given[0]?.tokens ?? {}).join();
  return sql`${kept}
    with given as (
      select * from jsonb_to_recordset(${JSON.stringify(given)}::jsonb) as one(
        id text, fence bigint, expected bigint, tokens jsonb, patch jsonb)),
    standing as (
      select given.* from given
        join perennial.leases as l on l.authorization_id = given.id and l.fence = given.fence
        join perennial.authorizations as a on a.id = given.id
        join perennial.tokens as t on t.authorization_id = given.id and t.version = given.expected
      where a.state not in ('purging', 'purged') and ${noDoubtEnds(shape)}
      for no key update of l, a, t skip locked),
    closed as (
      delete from perennial.intents as i using standing where i.authorization_id = standing.id),
    patched as (
      update perennial.authorizations as a set ${assignedFrom('patched', shape)}
      from standing, jsonb_populate_record(null::perennial.authorizations, standing.patch) as patched where a.id = standing.id)
    update perennial.tokens as t set ${assignedFrom('granted', ofTokens)}
    from standing, jsonb_populate_record(null::perennial.tokens, standing.tokens) as granted
    where t.authorization_id = standing.id and t.version = standing.expected returning t.authorization_id as id`;
}

function assignedFrom(row: string, shape: string): RawBuilder<unknown> {
  return sql.join(shape.split(',').map((name) => sql`${sql.ref(name)} = ${sql.ref(`${row}.${name}`)}`));
}

/** Columns that hold JSON are texts until here. */
const JSON_COLUMNS: ReadonlySet<string> = new Set(['ends', 'endpoint', 'cadence']);

/** As `jsonb_populate_record` reads them: bytes as hexadecimal digits, and JSON as what it is. */
function inJson(columns: Columns): Columns {
  return Object.fromEntries(
    Object.entries(columns).map(([name, value]) => {
      if (value instanceof Uint8Array) return [name, `\\x${Buffer.from(value).toString('hex')}`];
      return [name, JSON_COLUMNS.has(name) && typeof value === 'string' ? JSON.parse(value) : value];
    }),
  );
}
