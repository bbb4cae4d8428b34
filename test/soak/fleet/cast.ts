import type { AuthorizationRequest } from '../../../src/contract/wire.ts';
import { type Rng, seededRng } from '../../../src/sandbox/random.ts';
import { HOUR_MS, type Link, MINUTE_MS, requestOf, SECOND_MS, type World } from '../../support/world.ts';

/** One virtual minute takes a second, so that leases, stalled jobs and grace windows keep their true proportions to each other and a machine that stalls loses minutes. */
export const FLEET_SPEED = 60;

/** How a member ends: the first four stand to the end of the soak. */
export const KINDS = [
  'kept',
  'kept_slow',
  'kept_lost_reply',
  'kept_asked',
  'once',
  'fallback',
  'revoked',
  'ended',
] as const;
export type Kind = (typeof KINDS)[number];
export type Counts = Readonly<Record<Kind, number>>;

export type Member = {
  readonly id: string;
  readonly kind: Kind;
  readonly link: Link;
  readonly request: AuthorizationRequest;
  /** Virtual; what the request asks for. */
  readonly periodMs: number;
  readonly lateAfterMs: number;
  /** Wall, after the beginning: when it is handed over, and when what its kind is about happens. */
  readonly handOverAtMs: number;
  readonly eventAtMs: number;
};

/** The source: tokens that rotate, and are taken again for as long as the smallest grace windows in the field last. */
export const SOURCE_KNOBS = {
  accessTokenMs: HOUR_MS,
  oldRefreshToken: 'grace-same',
  refreshGraceMs: 30 * FLEET_SPEED * SECOND_MS,
  slowFhirMs: 6 * SECOND_MS,
  slowTokenMs: 6 * SECOND_MS,
  everythingPageSize: 12,
} as const;

const ENDPOINTS = ['commons-exchange', 'meadowlark-health-plan', 'riverbend-clinic'] as const;
/** Records count as late after this share of the period more. */
const LATE_SHARE = 1.5;
/** Half of them is there when the faults begin; the last come when this share of the time is over. */
const LAST_HAND_OVER_SHARE = 0.5;
/** A token that is over before it can be handed over would be refused. */
const SHORTEST_LIFE_SHARE = 0.1;
const EVENTS = { from: 0.55, to: 0.9 } as const;

/** Patients who connect, seeded. Whoever comes when faults have begun brings tokens: a public token is spent once, and a kill in mid-exchange loses it. */
export async function castOf({
  world,
  seed,
  counts,
  periodMinutes,
  forMs,
}: {
  readonly world: World;
  readonly seed: string;
  readonly counts: Counts;
  readonly periodMinutes: { readonly min: number; readonly max: number };
  readonly forMs: number;
}): Promise<readonly Member[]> {
  const random = seededRng(`${seed}/cast`);
  const kinds = KINDS.flatMap((kind) => Array.from({ length: counts[kind] }, () => kind));
  const members: Member[] = [];
  for (const [index, kind] of kinds.entries()) {
    const late = random.int(0, 1) === 1;
    const periodMs = random.int(periodMinutes.min, periodMinutes.max) * MINUTE_MS;
    const lateAfterMs = Math.round(periodMs * LATE_SHARE);
    const usage = kind === 'once' ? 'ONE_TIME' : 'MULTIPLE';
    const handOverAtMs = late ? random.int(0, Math.round(forMs * LAST_HAND_OVER_SHARE)) : 0;
    const link = await world.link({
      usage,
      endpoint: kind === 'fallback' ? 'old-harbor-insurance' : random.pick(ENDPOINTS),
      exchanged: late || random.int(0, 1) === 1,
      knobs: knobsOf({ kind, random, forMs, handOverAtMs }),
    });
    const id = `${kind.replaceAll('_', '-')}-${index}`;
    // One request a pull costs a busy machine little; those that are to be met in mid-pull read all that a patient has.
    const source = kind === 'kept_slow' || kind === 'kept_asked' ? 'sandbox' : 'patients';
    const cadence = { pullEverySeconds: periodMs / SECOND_MS, lateAfterSeconds: lateAfterMs / SECOND_MS };
    members.push({
      id,
      kind,
      link,
      request: requestOf(link, { id, source, usage, ...(usage === 'MULTIPLE' ? { cadence } : {}) }),
      periodMs,
      lateAfterMs,
      handOverAtMs,
      eventAtMs: random.int(Math.round(forMs * EVENTS.from), Math.round(forMs * EVENTS.to)),
    });
  }
  return members;
}

function knobsOf({
  kind,
  random,
  forMs,
  handOverAtMs,
}: {
  readonly kind: Kind;
  readonly random: Rng;
  readonly forMs: number;
  readonly handOverAtMs: number;
}): Parameters<World['turn']>[1] {
  const rotating = { oldRefreshToken: random.pick(['grace-same', 'grace-new'] as const) };
  // Deadlines fall anywhere in the second half. The lifetime is told without a beginning, and counts from the hand-over.
  if (kind === 'once' || kind === 'fallback') {
    const leftMs = random.int(Math.round(forMs / 2), forMs) - handOverAtMs;
    return { accessTokenMs: Math.max(Math.round(forMs * SHORTEST_LIFE_SHARE), leftMs) * FLEET_SPEED };
  }
  // Together longer than a lease: what has changed is asked for type by type.
  if (kind === 'kept_slow') return { ...rotating, slowFhirMs: 24 * SECOND_MS };
  return rotating;
}

/** Whether it should live to the end. */
export function isKept({ kind }: Pick<Member, 'kind'>): boolean {
  return kind.startsWith('kept');
}
