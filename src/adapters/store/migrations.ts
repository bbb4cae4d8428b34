import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';
import { AUDIT_CHAIN_NAMES } from '../../core/audit-text.ts';
import { RECEIPT_CHAIN } from '../../core/receipt-text.ts';
import { FLEET } from './migration-fleet.ts';

const ID = 'text collate "C"';
const OWNER = `authorization_id ${ID} not null references perennial.authorizations (id)`;

/** Sealed bytes do not compress: EXTERNAL storage spares the try. */
const STORED_AS_THEY_ARE = ['packs', 'manifests', 'changes', 'tokens'];

const INITIAL: readonly string[] = [
  `create table perennial.authorizations (
    id ${ID} primary key,
    service text not null,
    source text not null,
    network text not null,
    endpoint jsonb not null,
    cadence jsonb not null,
    usage_requested text not null,
    usage text not null,
    usage_reason text not null,
    state text not null,
    state_reason text not null,
    accepted_at double precision not null,
    authorized_at double precision not null,
    ends_at double precision,
    period_ms double precision,
    next_run_at double precision,
    purge_due_at double precision,
    purge_reason text,
    purged_at double precision,
    fetched_at double precision,
    last_pull_at double precision,
    last_pull_result text,
    last_pull_duration_ms double precision,
    fresh_as_of double precision,
    failed_runs integer not null,
    last_error text,
    fingerprint text,
    deleted jsonb
  )`,
  'create index authorizations_by_state on perennial.authorizations (state, id)',
  `create index authorizations_due on perennial.authorizations (purge_due_at)
    where purge_due_at is not null and state not in ('purging', 'purged')`,
  `create index authorizations_purging on perennial.authorizations (purge_due_at) where state = 'purging'`,
  `create index authorizations_next_run on perennial.authorizations (next_run_at)
    where next_run_at is not null and state in ('pending', 'active')`,
  `create table perennial.tokens (
    ${OWNER} primary key,
    version bigint not null,
    has_refresh_token boolean not null,
    access_expires_at double precision not null,
    access_lifetime_ms double precision not null,
    refresh_expires_at double precision,
    sealed bytea not null
  )`,
  `create table perennial.intents (
    ${OWNER} primary key,
    kind text not null,
    attempt_id text not null,
    token_version bigint not null,
    started_at double precision not null,
    unsure boolean not null,
    parked boolean not null
  )`,
  'create index intents_open on perennial.intents (started_at) where not parked',
  `create table perennial.leases (
    authorization_id ${ID} primary key,
    owner text not null,
    fence bigint not null,
    expires_at timestamptz not null
  )`,
  `create table perennial.packs (
    ${OWNER},
    id text not null,
    sealed bytea not null,
    primary key (authorization_id, id)
  )`,
  `create table perennial.manifests (
    ${OWNER},
    key text not null,
    sealed bytea not null,
    primary key (authorization_id, key)
  )`,
  `create table perennial.changes (
    ${OWNER},
    cursor bigint generated always as identity,
    at double precision not null,
    sealed bytea not null,
    primary key (authorization_id, cursor)
  )`,
  ...STORED_AS_THEY_ARE.map((table) => `alter table perennial.${table} alter column sealed set storage external`),
  `create table perennial.receipts (
    ${OWNER} primary key,
    purged_at double precision not null,
    due_at double precision,
    reason text not null,
    deleted jsonb not null,
    verified boolean not null
  )`,
  'create table perennial.suspended_sources (source text primary key, since double precision not null)',
  `create table perennial.audit (
    id bigint generated always as identity primary key,
    at double precision not null,
    authorization_id ${ID},
    actor text not null,
    action text not null,
    reason text
  )`,
  'create index audit_by_authorization on perennial.audit (authorization_id, id)',
  `create function perennial.refuse_change() returns trigger language plpgsql as
    $$ begin raise exception 'the audit trail is append-only'; end $$`,
  `create trigger audit_is_append_only before update or delete or truncate on perennial.audit
    for each statement execute function perennial.refuse_change()`,
];

const TOKEN_SAFETY: readonly string[] = [
  `alter table perennial.authorizations
    add column ends jsonb not null default '{}',
    add column next_warning_at double precision,
    add column trouble text,
    add column trouble_since double precision,
    add column trouble_until double precision,
    add column earlier_fingerprints jsonb not null default '[]'`,
  `update perennial.authorizations set ends = jsonb_build_object('maxAuthorization', ends_at) where ends_at is not null`,
  // What was accepted before this version is looked at once, and planned from there.
  `update perennial.authorizations set next_warning_at = 0 where usage = 'MULTIPLE' and state = 'active'`,
  `create index authorizations_warnings on perennial.authorizations (next_warning_at) where next_warning_at is not null`,
  `create index authorizations_ending on perennial.authorizations (ends_at)
    where usage = 'MULTIPLE' and state in ('active', 'suspended', 'quarantined')`,
  'alter table perennial.intents add column unclear_since double precision',
  'alter table perennial.tokens add column doubt_at double precision',
  `create table perennial.source_states (
    source text primary key,
    condition text not null,
    since double precision not null,
    last_at double precision not null,
    failures integer not null,
    announced boolean not null,
    probe_at double precision not null
  )`,
  `insert into perennial.source_states (source, condition, since, last_at, failures, announced, probe_at)
    select source, 'suspended', since, since, 1, true, 0 from perennial.suspended_sources`,
  'drop table perennial.suspended_sources',
  `create table perennial.events (
    cursor bigint generated always as identity primary key,
    at double precision not null,
    kind text not null,
    authorization_id ${ID},
    source text not null,
    reason text,
    ends_at double precision,
    days_left double precision
  )`,
  `create index events_of_endings on perennial.events (authorization_id, ends_at) where kind = 'ending'`,
];

const PULLS: readonly string[] = [
  `create table perennial.pulls (
    ${OWNER} primary key,
    sealed bytea not null
  )`,
  `create table perennial.pull_pages (
    ${OWNER},
    seq bigint generated always as identity,
    sealed bytea not null,
    primary key (authorization_id, seq)
  )`,
  ...['pulls', 'pull_pages'].map((table) => `alter table perennial.${table} alter column sealed set storage external`),
  `create table perennial.source_abilities (
    source text primary key,
    learned_at double precision not null,
    abilities jsonb not null
  )`,
];

const LINK = `add column seq bigint, add column previous_hash text, add column hash text, add column signature text, add column key_id text`;

const ERASURE: readonly string[] = [
  `alter table perennial.authorizations
    add column at_end text,
    add column upstream_end text,
    add column swept_jobs integer not null default 0,
    add column swept_events integer not null default 0,
    add column key_fingerprint text`,
  `alter table perennial.audit add column chain text, ${LINK}`,
  'create unique index audit_by_link on perennial.audit (chain, seq) where chain is not null',
  'create index audit_unlinked on perennial.audit (id) where chain is null',
  // A row for each chain from the beginning: whoever writes a link locks it.
  `create table perennial.chain_heads (
    chain text primary key,
    seq bigint not null,
    hash text not null
  ) with (fillfactor = 50)`,
  `insert into perennial.chain_heads
    select chain, 0, '' from unnest(array[${[...AUDIT_CHAIN_NAMES, RECEIPT_CHAIN].map((name) => `'${name}'`)}]) as names (chain)`,
  `alter table perennial.receipts
    add column source text,
    add column network text,
    add column usage text,
    add column accepted_at double precision,
    add column key_fingerprint text,
    add column upstream text not null default 'not_asked',
    add column findings jsonb,
    ${LINK}`,
  `update perennial.receipts as r set source = a.source, network = a.network, usage = a.usage, accepted_at = a.accepted_at,
    findings = '{"key":"gone","tokens":"gone","records":"gone","queue":"unchecked"}'
    from perennial.authorizations as a where a.id = r.authorization_id`,
  `alter table perennial.receipts
    alter column source set not null,
    alter column network set not null,
    alter column usage set not null,
    alter column accepted_at set not null,
    alter column upstream drop default,
    alter column findings set not null,
    drop column verified`,
  'create unique index receipts_by_link on perennial.receipts (seq) where seq is not null',
  `create trigger receipts_are_append_only before update or delete or truncate on perennial.receipts
    for each statement execute function perennial.refuse_change()`,
  // The purge lag of the last days is asked for at each scrape.
  'create index receipts_by_time on perennial.receipts (purged_at)',
];

/** Every migration there is, by name and in order. A published one never changes. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001_initial': { up: (db) => runAll(db, INITIAL) },
  '0002_token_safety': { up: (db) => runAll(db, TOKEN_SAFETY) },
  '0003_pulls': { up: (db) => runAll(db, PULLS) },
  '0004_erasure': { up: (db) => runAll(db, ERASURE) },
  '0005_fleet': { up: (db) => runAll(db, FLEET) },
  '0006_wishes': {
    up: (db) => runAll(db, ['alter table perennial.authorizations add column asked_at double precision']),
  },
  '0007_doubts': {
    up: (db) => runAll(db, ['alter table perennial.authorizations add column doubted_version integer']),
  },
};

// biome-ignore lint/suspicious/noExplicitAny: Kysely's own signature; a migration knows no table types.
async function runAll(db: Kysely<any>, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
