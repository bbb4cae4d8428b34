import type { ColumnType, Generated, Kysely } from 'kysely';

/** `bigint` comes as text from pg and as number or bigint from PGlite. */
export type Big = string | number | bigint;
type BigColumn = ColumnType<Big, number, number>;
/** Written as JSON text, read as whatever the driver parsed. */
type JsonColumn = ColumnType<unknown, string, string>;
type Bytes = Uint8Array;

/** Instants are domain milliseconds and may be fractional under a fast clock: double precision. */
export type AuthorizationsTable = {
  readonly id: string;
  readonly service: string;
  readonly source: string;
  readonly network: string;
  readonly endpoint: JsonColumn;
  readonly cadence: JsonColumn;
  readonly usage_requested: string;
  readonly usage: string;
  readonly usage_reason: string;
  readonly state: string;
  readonly state_reason: string;
  readonly accepted_at: number;
  readonly authorized_at: number;
  readonly ends: JsonColumn;
  /** The earliest of `ends`, for the calendar's index. */
  readonly ends_at: number | null;
  readonly next_warning_at: number | null;
  readonly trouble: string | null;
  readonly trouble_since: number | null;
  readonly trouble_until: number | null;
  readonly period_ms: number | null;
  /** Null in rows that are older than it. */
  readonly phase: number | null;
  readonly next_run_at: number | null;
  readonly next_pull_at: number | null;
  readonly told_at: number | null;
  readonly asked_at: number | null;
  readonly doubted_version: number | null;
  readonly upstream_ref: string | null;
  readonly purge_due_at: number | null;
  readonly purge_reason: string | null;
  readonly purged_at: number | null;
  readonly at_end: string | null;
  readonly upstream_end: string | null;
  readonly key_fingerprint: string | null;
  readonly fetched_at: number | null;
  readonly last_pull_at: number | null;
  readonly last_pull_result: string | null;
  readonly last_pull_duration_ms: number | null;
  readonly fresh_as_of: number | null;
  readonly failed_runs: number;
  readonly last_error: string | null;
  readonly fingerprint: string | null;
  /** Of the requests of earlier consents, as JSON. */
  readonly earlier_fingerprints: ColumnType<unknown, string | undefined, string>;
  /** What the queues gave up so far, summed like `deleted`. */
  readonly swept_jobs: Generated<number>;
  readonly swept_events: Generated<number>;
  /** Rows deleted so far, summed over the tries of a purge that a crash cut in two. */
  readonly deleted: ColumnType<unknown, string | undefined, string>;
};

/** Null in rows that are older than the chains. */
type LinkColumns = {
  readonly seq: ColumnType<Big | null, number, never>;
  readonly previous_hash: string | null;
  readonly hash: string | null;
  readonly signature: string | null;
  readonly key_id: string | null;
};

export type Tables = {
  readonly authorizations: AuthorizationsTable;
  readonly tokens: {
    readonly authorization_id: string;
    readonly version: BigColumn;
    readonly has_refresh_token: boolean;
    readonly access_expires_at: number;
    readonly access_lifetime_ms: number;
    readonly refresh_expires_at: number | null;
    readonly doubt_at: number | null;
    readonly sealed: Bytes;
  };
  readonly intents: {
    readonly authorization_id: string;
    readonly kind: string;
    readonly attempt_id: string;
    readonly token_version: BigColumn;
    readonly started_at: number;
    readonly unsure: boolean;
    readonly parked: boolean;
    readonly unclear_since: number | null;
  };
  readonly leases: {
    readonly authorization_id: string;
    readonly owner: string;
    readonly fence: BigColumn;
    /** The database's own clock; never read here, only compared there. */
    readonly expires_at: Date;
  };
  readonly duties: { readonly name: string; readonly owner: string; readonly expires_at: Date };
  readonly packs: { readonly authorization_id: string; readonly id: string; readonly sealed: Bytes };
  readonly manifests: { readonly authorization_id: string; readonly key: string; readonly sealed: Bytes };
  readonly changes: {
    readonly authorization_id: string;
    readonly cursor: Generated<Big>;
    readonly at: number;
    readonly sealed: Bytes;
  };
  readonly pulls: { readonly authorization_id: string; readonly sealed: Bytes };
  readonly pull_pages: { readonly authorization_id: string; readonly seq: Generated<Big>; readonly sealed: Bytes };
  readonly source_abilities: { readonly source: string; readonly learned_at: number; readonly abilities: JsonColumn };
  readonly receipts: {
    readonly authorization_id: string;
    readonly purged_at: number;
    readonly due_at: number | null;
    readonly reason: string;
    readonly deleted: JsonColumn;
    readonly source: string;
    readonly network: string;
    readonly usage: string;
    readonly accepted_at: number;
    readonly key_fingerprint: string | null;
    readonly upstream: string;
    readonly findings: JsonColumn;
  } & LinkColumns;
  readonly endpoint_profiles: {
    readonly network: string;
    readonly source: string;
    readonly endpoint_id: string;
    readonly changes: number[];
    readonly watched_hours: number[];
    readonly updated_at: number;
  };
  readonly hooks_seen: { readonly source: string; readonly event_id: string; readonly seen_at: Generated<Date> };
  readonly source_states: {
    readonly source: string;
    readonly condition: string;
    readonly since: number;
    readonly last_at: number;
    readonly failures: number;
    readonly announced: boolean;
    readonly probe_at: number;
  };
  readonly events: {
    readonly cursor: Generated<Big>;
    readonly at: number;
    readonly kind: string;
    readonly authorization_id: string | null;
    readonly source: string;
    readonly reason: string | null;
    readonly ends_at: number | null;
    readonly days_left: number | null;
  };
  readonly audit: {
    readonly id: Generated<Big>;
    readonly at: number;
    readonly authorization_id: string | null;
    readonly actor: string;
    readonly action: string;
    readonly reason: string | null;
    readonly chain: string | null;
  } & LinkColumns;
  readonly chain_heads: { readonly chain: string; readonly seq: BigColumn; readonly hash: string };
};

/** A connection to the tables, or a transaction on them. Always schema-qualified: see {@link SCHEMA}. */
export type Db = Kysely<Tables>;

/** Where all of our tables are; statements name it and never rely on the search path. */
export const SCHEMA = 'perennial';
