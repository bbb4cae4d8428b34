const ID = 'text collate "C"';

/** What a fleet that heals itself keeps: places in the period, crashes, who has which duty. */
export const FLEET: readonly string[] = [
  `alter table perennial.authorizations
    add column phase double precision,
    add column next_pull_at double precision`,
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
];
