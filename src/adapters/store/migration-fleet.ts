const ID = 'text collate "C"';

/**
 * Takes a lease and reads what stands behind it, in one round trip. Each statement in it sees what was committed before it began: a joined read would see what stood
 * there before the wait for the row, and so a token that the former holder has spent meanwhile. Of any number of takers exactly one gets the row. Who takes several
 * together waits for none: a row that somebody has locked is busy, and taken again alone.
 */
const TAKE_LEASE = `
  create function perennial.take_lease(
    wanted_id text, wanted_owner text, lease_ms double precision, from_anybody boolean, may_wait boolean,
    out is_busy boolean, out taken_fence bigint, out taken_crashes integer,
    out authorization_row perennial.authorizations, out tokens_row perennial.tokens, out intent_row perennial.intents,
    out source_condition text
  ) language plpgsql as $$
  begin
    is_busy := false;
    if not may_wait then
      perform 1 from perennial.leases where authorization_id = wanted_id for no key update skip locked;
      is_busy := not found and exists (select 1 from perennial.leases where authorization_id = wanted_id);
      if is_busy then return; end if;
    end if;
    insert into perennial.leases as held (authorization_id, owner, fence, expires_at, released)
      values (wanted_id, wanted_owner, 1, clock_timestamp() + lease_ms * interval '1 millisecond', false)
      on conflict (authorization_id) do update
        -- The end is computed again: the first one was, before a wait for the row.
        set owner = excluded.owner, fence = held.fence + 1, released = false,
          expires_at = clock_timestamp() + lease_ms * interval '1 millisecond',
          crashes = held.crashes + case when held.released or held.owner = excluded.owner then 0 else 1 end
        where from_anybody or held.expires_at <= clock_timestamp()
      returning fence, crashes into taken_fence, taken_crashes;
    if taken_fence is null then return; end if;
    select * into authorization_row from perennial.authorizations where id = wanted_id;
    select * into tokens_row from perennial.tokens where authorization_id = wanted_id;
    select * into intent_row from perennial.intents where authorization_id = wanted_id;
    select condition into source_condition from perennial.source_states where source = authorization_row.source;
  end $$`;

/** What a fleet that heals itself keeps: places in the period, crashes, who has which duty. */
export const FLEET: readonly string[] = [
  `alter table perennial.authorizations
    add column phase double precision,
    add column next_pull_at double precision,
    add column told_at double precision,
    add column upstream_ref text`,
  // The stalest records of the fleet are asked for at each scrape.
  `create index authorizations_fresh on perennial.authorizations (fresh_as_of)
    where fresh_as_of is not null and state = 'active' and usage = 'MULTIPLE'`,
  `create index authorizations_upstream on perennial.authorizations (upstream_ref) where upstream_ref is not null`,
  // What pulls have seen of an endpoint by hour of the day: counts over all its patients, and nothing of any one.
  `create table perennial.endpoint_profiles (
    network text not null,
    source text not null,
    endpoint_id ${ID} not null,
    changes double precision[] not null,
    watched_hours double precision[] not null,
    updated_at double precision not null,
    primary key (network, source, endpoint_id)
  )`,
  // Deliveries that were taken once, on the database's clock.
  `create table perennial.hooks_seen (
    source text not null,
    event_id ${ID} not null,
    seen_at timestamptz not null default clock_timestamp(),
    primary key (source, event_id)
  )`,
  `create index hooks_seen_at on perennial.hooks_seen (seen_at)`,
  // As many parts as core/phase.ts counts in.
  `create index authorizations_phases on perennial.authorizations (network, floor(phase * 8192))
    where phase is not null and usage = 'MULTIPLE' and state not in ('needs_reauthorization', 'purging', 'purged')`,
  `alter table perennial.leases
    add column released boolean not null default true,
    add column crashes integer not null default 0`,
  // One worker at a time does what one is enough for; who has the duty says so here, on the database's clock.
  `create table perennial.duties (
    name ${ID} primary key,
    owner text not null,
    expires_at timestamptz not null
  )`,
  // What the reconciler left: the mark that the queue should bear, and its last complete pass.
  `create table perennial.reconciled (
    queue text primary key,
    mark text not null,
    passed_at timestamptz,
    authorizations integer not null,
    drift integer not null
  )`,
  TAKE_LEASE,
];
