import { type CadenceTable, cadenceOf, periodOf } from '../../src/core/cadence.ts';
import { UNITS } from '../../src/core/limits.ts';
import { NETWORKS } from '../../src/core/networks.ts';
import { choosePhase, phaseBucketOf, phaseCandidates } from '../../src/core/phase.ts';
import { PLAN_LIMITS } from '../../src/core/plan-limits.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { slotOf } from '../../src/core/slot.ts';
import type { Sql } from './databases.ts';

const { MINUTE_MS, HOUR_MS, DAY_MS } = UNITS;
export const NOW = Date.UTC(2026, 6, 1, 12);
export const AS_IT_IS: CadenceTable = { networks: {}, endpoints: {} };
const MINUTES = PLAN_LIMITS.aheadMs / MINUTE_MS;
const QUARTER_MINUTES = 15;
/** What also lies in the store and has no place in a period: ended, or fetched once. */
const ASIDE = 40;
const PAGE = 500;

type Load = {
  readonly runsPerDay: number;
  readonly meanMinute: number;
  readonly peakMinute: number;
  readonly late: number;
};

/** Runs of a fleet in the time that a preview looks ahead, by network and by endpoint. */
export type Loads = {
  readonly networks: ReadonlyMap<string, Load>;
  readonly endpoints: ReadonlyMap<string, Load>;
  readonly quarterHours: readonly number[];
};

/**
 * A fleet in full swing over all networks: places as at acceptance, tokens of two hours and of a day, callers who named a period, runs that were put back to a time
 * before their slot, and patients of whom nothing was pulled yet.
 */
export async function insertFleet({ sql, count }: { readonly sql: Sql; readonly count: number }): Promise<void> {
  const loads = new Map<number, number>();
  const rows = Array.from({ length: count + ASIDE }, (_, at) => {
    const id = `member-${String(at).padStart(5, '0')}`;
    const phase = choosePhase({ candidates: phaseCandidates(id), loads });
    loads.set(phaseBucketOf(phase), (loads.get(phaseBucketOf(phase)) ?? 0) + 1);
    return rowOf({ id, at, phase, isAside: at >= count });
  });
  await sql(INSERT_AUTHORIZATIONS, [JSON.stringify(rows)]);
  await sql(INSERT_TOKENS, [JSON.stringify(rows)]);
}

function rowOf({
  id,
  at,
  phase,
  isAside,
}: {
  readonly id: string;
  readonly at: number;
  readonly phase: number;
  readonly isAside: boolean;
}) {
  const network = NETWORKS[[0, 0, 1, 2][at % 4] ?? 0] ?? 'TEFCA_IAS';
  const endpoint = { id: `payer-${at % 9}` };
  const cadence = at % 11 === 0 ? { pullEveryMs: 3 * HOUR_MS } : {};
  const lifetime = [2, 24, 24, 24, 24][at % 5] ?? 24;
  const accessLifetimeMs = lifetime * HOUR_MS;
  const period = periodOf({ cadence: cadenceOf({ network, endpoint, cadence }, AS_IT_IS), accessLifetimeMs });
  const { next: slot } = slotOf({ id, everyMs: period, phase, now: NOW });
  const isPutBack = at % 17 === 0;
  return {
    id,
    network,
    endpoint,
    cadence,
    usage: isAside && at % 2 === 0 ? 'ONE_TIME' : 'MULTIPLE',
    state: isAside && at % 2 === 1 ? 'needs_reauthorization' : 'active',
    period_ms: period,
    phase,
    next_run_at: isPutBack ? Math.round(NOW + (slot - NOW) * 0.4) : slot,
    fresh_as_of: at % 13 === 0 ? null : slot - period,
    access_expires_at: slot - period + accessLifetimeMs,
    access_lifetime_ms: accessLifetimeMs,
  };
}

const INSERT_AUTHORIZATIONS = `
  insert into perennial.authorizations
    (id, service, source, network, endpoint, cadence, usage_requested, usage, usage_reason, state, state_reason, accepted_at,
     authorized_at, period_ms, phase, next_run_at, failed_runs, fresh_as_of)
  select id, 'portal', 'sandbox', network, endpoint, cadence, usage, usage, 'as_requested', state, 'accepted', ${NOW},
    ${NOW}, period_ms, phase, next_run_at, 0, fresh_as_of
  from jsonb_to_recordset($1::jsonb) as given(id text, network text, endpoint jsonb, cadence jsonb, usage text, state text,
    period_ms double precision, phase double precision, next_run_at double precision, fresh_as_of double precision)`;
const INSERT_TOKENS = `
  insert into perennial.tokens (authorization_id, version, has_refresh_token, access_expires_at, access_lifetime_ms, sealed)
  select id, 1, true, access_expires_at, access_lifetime_ms, ''::bytea
  from jsonb_to_recordset($1::jsonb) as given(id text, access_expires_at double precision, access_lifetime_ms double precision)`;

/** Each run of each standing authorization, as the queue would have it: its plan, and after it the slots of its repeating job. */
export async function loadsOf({
  store,
  table,
}: {
  readonly store: Pick<Store, 'list'>;
  readonly table: CadenceTable;
}): Promise<Loads> {
  const networks = new Map<string, Counted>();
  const endpoints = new Map<string, Counted>();
  const all = counted();
  for (let after: string | null = null; ; ) {
    const page = await store.list({ after, limit: PAGE });
    for (const one of page) {
      const { id, network, endpoint, usage, state, periodMs, phase, nextRunAt, freshAsOf } = one;
      if (usage !== 'MULTIPLE' || state !== 'active' || periodMs === null || nextRunAt === null) continue;
      const first = Math.max(NOW, nextRunAt);
      const isLate = freshAsOf !== null && first - freshAsOf > cadenceOf(one, table).lateAfterMs;
      const minutes = minutesOf({ id, periodMs, phase, first });
      for (const group of [of(networks, network), of(endpoints, `${network} ${endpoint.id}`), all]) {
        group.perDay += DAY_MS / periodMs;
        if (isLate) group.late += 1;
        for (const minute of minutes) group.minutes[minute] = (group.minutes[minute] ?? 0) + 1;
      }
    }
    if (page.length < PAGE) break;
    after = page.at(-1)?.id ?? null;
  }
  const quarterHours = Array.from({ length: MINUTES / QUARTER_MINUTES }, (_, quarter) =>
    all.minutes.slice(quarter * QUARTER_MINUTES, (quarter + 1) * QUARTER_MINUTES).reduce((sum, runs) => sum + runs, 0),
  );
  return { networks: loads(networks), endpoints: loads(endpoints), quarterHours };
}

/** The minutes from now on in which it runs. */
function minutesOf({
  id,
  periodMs: everyMs,
  phase,
  first,
}: {
  readonly id: string;
  readonly periodMs: number;
  readonly phase: number;
  readonly first: number;
}): readonly number[] {
  const minutes: number[] = [];
  for (let at = first; at < NOW + PLAN_LIMITS.aheadMs; at = slotOf({ id, everyMs, phase, now: at }).next)
    minutes.push(Math.floor((at - NOW) / MINUTE_MS));
  return minutes;
}

type Counted = { perDay: number; late: number; readonly minutes: number[] };

function counted(): Counted {
  return { perDay: 0, late: 0, minutes: new Array<number>(MINUTES).fill(0) };
}

function of(groups: Map<string, Counted>, name: string): Counted {
  const group = groups.get(name) ?? counted();
  groups.set(name, group);
  return group;
}

function loads(groups: ReadonlyMap<string, Counted>): ReadonlyMap<string, Load> {
  return new Map(
    [...groups].map(([name, { perDay, late, minutes }]) => {
      const meanMinute = (perDay * MINUTE_MS) / DAY_MS;
      return [name, { runsPerDay: perDay, meanMinute, peakMinute: Math.max(...minutes), late }];
    }),
  );
}

/** A print of each table's rows, in whatever order they lie. */
export async function printOf(sql: Sql): Promise<ReadonlyMap<string, unknown>> {
  const tables = await sql("select table_name as name from information_schema.tables where table_schema = 'perennial'");
  const prints = new Map<string, unknown>();
  for (const { name } of tables) {
    const [row] = await sql(
      `select count(*)::int as count, md5(coalesce(string_agg(r::text, '|' order by r::text), '')) as print from perennial.${String(name)} as r`,
    );
    prints.set(String(name), row);
  }
  return prints;
}
