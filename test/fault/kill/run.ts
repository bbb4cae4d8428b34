import { accept } from '../../../src/flows/accept.ts';
import { notGiven } from '../../../src/flows/conclude.ts';
import type { Context } from '../../../src/flows/context.ts';
import { ensureAccessToken } from '../../../src/flows/refresh.ts';
import { takeUp } from '../../../src/flows/take-up.ts';
import { seededRng } from '../../../src/sandbox/random.ts';
import { QUIET_QUEUE } from '../../support/quiet-queue.ts';
import { until } from '../../support/system-until.ts';
import { HOUR_MS, requestOf } from '../../support/world.ts';
import type { Hand } from './hands.ts';
import type { Order } from './orders.ts';
import { type Moment, POINTS, POLICIES, type Point, type Policy } from './points.ts';
import type { Stage, Subject } from './stage.ts';
import { measureWindow } from './window.ts';

/** One kill: where, against which upstream, by which seed. */
export type Kill = {
  readonly point: Point;
  readonly policy: Policy;
  readonly seed: number;
  readonly defect?: Order['defect'];
  /** Instead of the one that the seed picks. */
  readonly moment?: Moment;
  /** The worker that survives has this long to repair what the kill left. */
  readonly repairWithinMs: number;
};

export type Verdict = Kill & {
  readonly id: string;
  readonly moment: Moment;
  readonly detail: number;
  /** `alive`: the stored token was taken once more. `ambiguous`: announced as such. `silent`: everything else. */
  readonly outcome: 'alive' | 'ambiguous' | 'silent';
  /** What was seen, for a verdict that nobody expected. */
  readonly seen: string;
  /** From the kill until the attempt it left open was closed; null where it left none. */
  readonly recoveredMs: number | null;
  /** The width of the unavoidable window: in the killed process, and in the one that refreshed once more. */
  readonly windowMs: { readonly killed: number | null; readonly warm: number | null };
};

const LOOK_EVERY_MS = 300;
/** The lease of the dead, and a run of the survivor. */
const PROOF_CAP_MS = 60_000;

/** An authorization with a token that is due, handed over without a job: the order is its run. */
export async function handOver({
  stage: { world, context },
  id,
  knobs,
}: {
  readonly stage: Stage;
  readonly id: string;
  readonly knobs: Parameters<Stage['world']['turn']>[1];
}): Promise<Subject> {
  const link = await world.link({ exchanged: true, size: 1, knobs });
  const issuedAt = new Date(world.clock.now() - 23.5 * HOUR_MS).toISOString();
  const quiet = { ...context, queue: { ...context.queue, ...QUIET_QUEUE } };
  await accept({ context: quiet, request: requestOf(link, { id, expiresIn: 86_400, issuedAt }), actor: 'test' });
  return { id, link };
}

/** Kills a worker as told, lets the survivor repair what it can, and looks what became of the authorization. */
export async function killOnce({ stage, kill }: { readonly stage: Stage; readonly kill: Kill }): Promise<Verdict> {
  const { point, policy, seed, defect = 'none' } = kill;
  const random = seededRng(`${seed}/${point}/${policy}`);
  const moment = kill.moment ?? random.pick<Moment>(POINTS[point].moments);
  const detail = random.int(0, 1_000_000);
  const hand = await stage.hands.take();
  // A run that is tried once more is another authorization.
  const id = `${point}-${policy}-${seed}-${stage.context.entropy.id()}`;
  const subject = await handOver({ stage, id, knobs: POLICIES[policy].knobs });
  hand.order({ authorizationId: id, deed: 'kill', moment, detail, defect, tokenEndpoint: stage.tokenEndpoint });
  const { at: killedAt, windowMs: killedWindowMs } = await struck(hand);
  const repaired = await isRepaired({ stage, subject, withinMs: kill.repairWithinMs });
  const closedAt = stage.closedAt(id);
  const proof = await refreshOnceMore({ stage, subject });
  const outcome = outcomeOf({ repaired, proof });
  return {
    ...kill,
    id,
    moment,
    detail,
    outcome,
    seen: `${repaired ? 'repaired' : 'not repaired'}, ${proof.seen}`,
    recoveredMs: closedAt === null ? null : closedAt - killedAt,
    windowMs: { killed: killedWindowMs, warm: proof.windowMs },
  };
}

async function struck(hand: Hand): Promise<{ readonly at: number; readonly windowMs: number | null }> {
  const line = await hand.says('struck');
  const { signal } = await hand.ended;
  if (signal !== 'SIGKILL') throw new Error(`a worker process was not killed but ended by ${signal}`);
  return line;
}

/** Waits until no attempt is open and either the source's living token is stored or the authorization is announced as dead. */
async function isRepaired({
  stage,
  subject,
  withinMs,
}: {
  readonly stage: Stage;
  readonly subject: Subject;
  readonly withinMs: number;
}): Promise<boolean> {
  const { store } = stage.context;
  const giveUpAt = performance.now() + withinMs;
  const look = async (): Promise<boolean> => {
    if ((await store.intent(subject.id)) !== null) return false;
    if ((await store.get(subject.id))?.state !== 'active') return true;
    return stage.holdsLivingToken(subject);
  };
  return until(
    `${subject.id} is repaired, or its time is over`,
    async () => ((await look()) ? 'repaired' : performance.now() > giveUpAt ? 'over' : 'open'),
    (seen) => seen !== 'open',
    { capMs: 2 * withinMs, everyMs: LOOK_EVERY_MS },
  ).then((seen) => seen === 'repaired');
}

type Proof = {
  readonly alive: boolean;
  readonly ambiguous: boolean;
  readonly seen: string;
  readonly windowMs: number | null;
};

/** The proof of life: one more refresh through the real flow, as if the source had just refused the access token. */
export async function refreshOnceMore({
  stage,
  subject,
}: {
  readonly stage: Stage;
  readonly subject: Subject;
}): Promise<Proof> {
  const { context } = stage;
  const { id } = subject;
  const versionOf = async (): Promise<number> => (await context.store.tokens(id))?.version ?? 0;
  const before = await versionOf();
  const window = measureWindow(context);
  await until(
    `the lease of ${id} is free`,
    () => refreshRejected({ context: window.context, id }),
    (outcome) => outcome !== 'lease_taken',
    { capMs: PROOF_CAP_MS, everyMs: LOOK_EVERY_MS },
  );
  const authorization = await context.store.get(id);
  const { state, stateReason } = authorization ?? {};
  const refreshed = (await versionOf()) === before + 1 && (await stage.holdsLivingToken(subject));
  return {
    alive: state === 'active' && refreshed,
    ambiguous: state === 'needs_reauthorization' && stateReason === 'ambiguous_refresh',
    seen: `then ${state} (${stateReason}), ${refreshed ? 'refreshed' : 'not refreshed'}`,
    windowMs: window.widthMs(),
  };
}

async function refreshRejected({ context, id }: { readonly context: Context; readonly id: string }): Promise<string> {
  const signal = new AbortController().signal;
  const outcome = await takeUp(
    { context, authorizationId: id, signal, wanted: 'active', part: 'tokens_only' },
    async (work) => {
      const access = await ensureAccessToken({ ...work, neededUntil: context.clock.now(), rejected: true });
      return access.kind === 'token' ? { kind: 'done', reason: 'refreshed' } : notGiven({ work, access });
    },
  );
  return outcome.kind === 'failed' ? outcome.code : outcome.reason;
}

/** Ambiguous counts as announced only if the survivor said so itself, and not because we asked once more. */
function outcomeOf({ repaired, proof }: { readonly repaired: boolean; readonly proof: Proof }): Verdict['outcome'] {
  if (!repaired) return 'silent';
  if (proof.alive) return 'alive';
  return proof.ambiguous ? 'ambiguous' : 'silent';
}
