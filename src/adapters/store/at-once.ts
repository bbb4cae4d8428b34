import { type RawBuilder, sql } from 'kysely';
import { codeOf } from '../../core/errors.ts';
import type { AsOf, AuthorizationPatch, Store } from '../../core/ports/store.ts';
import { toColumns } from './authorization-row.ts';
import { gathered } from './gather.ts';
import { kept } from './kept.ts';
import { endOf, RELEASED } from './lease-columns.ts';
import { GIVEN, prepared } from './prepared.ts';
import type { Session } from './session.ts';
import { INTENT_COLUMNS, TOKEN_COLUMNS, toIntentColumns, toTokenColumns } from './token-row.ts';

/*
 * The writes of ordinary runs, each kind of them one statement: those of all runs that write at the same moment go together, with one commit for all. They do what
 * the transactions beside them do (fenced.ts), or nothing at all: where anything is out of the ordinary (another fence, another version, a purge, a row that
 * somebody else has locked, a move that has to be told) one says false, and the transaction decides. The rows that decide are locked together and waited for by
 * nobody, so that no run holds up others.
 */

type Write<I> = (input: I) => Promise<boolean>;
type Given = { readonly authorizationId: string; readonly fence: number };
type Columns = Readonly<Record<string, unknown>>;
/** A write beside the columns of its patch, which tell what it may go together with. */
type WithColumns<I> = I & { readonly columns: Columns };
type Update = Parameters<Store['update']>[0] & { readonly asOf?: AsOf };
type Commit = Parameters<Store['commitTokens']>[0];
type OpenIntent = Parameters<Store['openIntent']>[0];

/** {@link Store.update}, {@link Store.openIntent} and {@link Store.commitTokens}, as far as they are ordinary. */
export type AtOnce = {
  readonly update: Write<Update>;
  readonly openIntent: Write<OpenIntent>;
  readonly commitTokens: Write<Commit>;
};

/** Writes that go together, each authorization's once in a statement. */
export function atOnce(session: Session): AtOnce {
  const updates = byShape<WithColumns<Update>>(session, { rowOf: updateRow, textOf: updateText });
  const commits = byShape<WithColumns<Commit>>(session, { rowOf: commitRow, textOf: commitText });
  const intents = writer<OpenIntent>({ session, rowOf: intentRow, text: intentText() });
  return {
    update: async (value) => isPlain(value.patch) && updates({ ...value, columns: toColumns(value.patch) }),
    openIntent: intents,
    commitTokens: async (value) => {
      const { patch, plan } = value;
      const whole = plan === undefined ? patch : { ...patch, ...plan.patch };
      return isPlain(whole) && commits({ ...value, columns: toColumns(whole) });
    },
  };
}

/** Moves, and doubts about an attempt that begin or end, have an entry or an event beside them. */
function isPlain(patch: AuthorizationPatch): boolean {
  const { state, stateReason, trouble } = patch;
  return state === undefined && stateReason === undefined && trouble?.kind !== 'unsure';
}

/** A doubt about an attempt that a patch would end is told as an event. */
function noDoubtEnds(shape: string): RawBuilder<unknown> {
  return shape.split(',').includes('trouble') ? sql`a.trouble is distinct from 'unsure'` : sql`true`;
}

/** How one kind of write is put: a row of JSON for each, and the statement that takes them all. */
type Kind<I> = {
  readonly rowOf: (input: I) => Columns;
  readonly textOf: (shape: string) => RawBuilder<Done>;
};
type Done = { readonly id: string };

/** What has the same columns goes in the same statement. */
function byShape<I extends WithColumns<Given>>(session: Session, { rowOf, textOf }: Kind<I>): Write<I> {
  const writers = new Map<string, Write<I>>();
  return async (input) => {
    const shape = Object.keys(input.columns).join();
    if (shape === '') return false;
    const write = writers.get(shape) ?? writer<I>({ session, rowOf, text: textOf(shape) });
    writers.set(shape, write);
    return write(input);
  };
}

/** What is wrong with one of them may keep all from being written: then each is left to its own transaction. */
function writer<I extends Given>({
  session,
  rowOf,
  text,
}: Pick<Kind<I>, 'rowOf'> & { readonly session: Session; readonly text: RawBuilder<Done> }): Write<I> {
  const statement = prepared(text);
  return gathered(async (inputs: readonly I[]) => {
    try {
      const done = await session.query((db) => statement(db, [JSON.stringify(inputs.map(rowOf))]));
      const ids = new Set(done.map(({ id }) => id));
      return inputs.map(({ authorizationId }) => ids.has(authorizationId));
    } catch (error) {
      if (codeOf(error) === 'database_unreachable') throw error;
      return inputs.map(() => false);
    }
  });
}

/** What a plan was made of, and whether it still stands there. */
function knownOf(asOf: AsOf | undefined): Columns {
  return { is_as_of: asOf !== undefined, period_ms: asOf?.periodMs ?? null, told_at: asOf?.toldAt ?? null };
}
const AS_KNOWN = sql`(not given.is_as_of or
  (a.period_ms is not distinct from given.period_ms and a.told_at is not distinct from given.told_at))`;
/** The last write of a holder gives its lease back. */
const RELEASE = sql`
  update perennial.leases as l set ${RELEASED} from standing where l.authorization_id = standing.id and l.owner = standing.releaser`;

/**
 * True of every fence, and taken by the planner for true of one row in two hundred: it then finds the rows one by one, and not by reading whole tables for the hundred
 * rows that it expects of JSON. A plan that reads a table while that is small would be kept for it when it has grown.
 */
const AS_ONE = sql` where fence between 1 and ${sql.raw(String(Number.MAX_SAFE_INTEGER))}`;

function updateRow({ authorizationId: id, fence, columns, release, asOf }: WithColumns<Update>): Columns {
  return { id, fence, releaser: release?.owner ?? null, ...knownOf(asOf), patch: inJson(columns) };
}

function updateText(shape: string): RawBuilder<Done> {
  return sql`${kept}
    with given as (
      select * from jsonb_to_recordset(${GIVEN.first}::jsonb) as one(
        id text, fence bigint, releaser text, is_as_of boolean, period_ms double precision, told_at double precision, patch jsonb)${AS_ONE}),
    standing as (
      select given.* from given
        join perennial.leases as l on l.authorization_id = given.id and l.fence = given.fence
        join perennial.authorizations as a on a.id = given.id
      where a.state <> 'purged' and ${noDoubtEnds(shape)} and ${AS_KNOWN}
      for no key update of l, a skip locked),
    released as (${RELEASE})
    update perennial.authorizations as a set ${assignedFrom('patched', shape)}
    from standing, jsonb_populate_record(null::perennial.authorizations, standing.patch) as patched
    where a.id = standing.id returning a.id`;
}

function intentRow({ authorizationId: id, fence, intent, lease }: OpenIntent): Columns {
  return { id, fence, owner: lease.owner, lease_ms: lease.leaseMs, intent: toIntentColumns(intent) };
}

function intentText(): RawBuilder<Done> {
  return sql`${kept}
    with given as (
      select * from jsonb_to_recordset(${GIVEN.first}::jsonb) as one(
        id text, fence bigint, owner text, lease_ms double precision, intent jsonb)${AS_ONE}),
    held as (
      select given.* from given
        join perennial.leases as l on l.authorization_id = given.id and l.fence = given.fence
        join perennial.authorizations as a on a.id = given.id
      where l.owner = given.owner and not l.released and a.state not in ('purging', 'purged')
      for no key update of l skip locked),
    renewed as (
      update perennial.leases as l set expires_at = ${endOf(sql`held.lease_ms`)} from held where l.authorization_id = held.id)
    insert into perennial.intents (authorization_id, ${sql.join(INTENT_COLUMNS.map((name) => sql.ref(name)))})
    select held.id, ${sql.join(INTENT_COLUMNS.map((name) => sql.ref(`opened.${name}`)))}
    from held, jsonb_populate_record(null::perennial.intents, held.intent) as opened
    on conflict (authorization_id) do update set ${assignedFrom('excluded', INTENT_COLUMNS.join())}
    returning authorization_id as id`;
}

function commitRow(commit: WithColumns<Commit>): Columns {
  const { authorizationId: id, fence, expectedVersion: expected, tokens, plan, columns } = commit;
  const written = { tokens: inJson(toTokenColumns(tokens)), patch: inJson(columns) };
  return { id, fence, releaser: plan?.release.owner ?? null, ...knownOf(plan?.asOf), expected, ...written };
}

function commitText(shape: string): RawBuilder<Done> {
  return sql`${kept}
    with given as (
      select * from jsonb_to_recordset(${GIVEN.first}::jsonb) as one(
        id text, fence bigint, releaser text, is_as_of boolean, period_ms double precision, told_at double precision,
        expected bigint, tokens jsonb, patch jsonb)${AS_ONE}),
    standing as (
      select given.* from given
        join perennial.leases as l on l.authorization_id = given.id and l.fence = given.fence
        join perennial.authorizations as a on a.id = given.id
        join perennial.tokens as t on t.authorization_id = given.id and t.version = given.expected
      where a.state not in ('purging', 'purged') and ${noDoubtEnds(shape)} and ${AS_KNOWN}
      for no key update of l, a, t skip locked),
    released as (${RELEASE}),
    closed as (
      delete from perennial.intents as i using standing where i.authorization_id = standing.id),
    patched as (
      update perennial.authorizations as a set ${assignedFrom('patched', shape)}
      from standing, jsonb_populate_record(null::perennial.authorizations, standing.patch) as patched where a.id = standing.id)
    update perennial.tokens as t set ${assignedFrom('granted', TOKEN_COLUMNS.join())}
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
