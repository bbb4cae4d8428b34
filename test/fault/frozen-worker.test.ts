import { afterAll, beforeAll, describe, test } from 'vitest';
import { LIMITS } from '../../src/core/limits.ts';
import { refreshAndPull } from '../../src/flows/refresh-and-pull.ts';
import { findServices, missingOf } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import type { Hand } from './kill/hands.ts';
import type { Order } from './kill/orders.ts';
import { POLICIES } from './kill/points.ts';
import { handOver, refreshOnceMore } from './kill/run.ts';
import { type Books, openStage, type Stage, type Subject } from './kill/stage.ts';

/** The rest of the frozen one's lease (7 s), a sweep (1 s), a refresh, and a machine that stalls. */
const TAKEN_OVER_CAP_MS = 30_000;
/** A woken worker offers its late pair for up to 30 s. */
const WOKEN_CAP_MS = 60_000;
const CAP_MS = 120_000;
const EVENTS_PAGE = 500;

const STRICT = { oldRefreshToken: 'strict' } as const;
/** The reply is not there yet when the process freezes; in the kernel's buffer it waits for the rest. */
const SLOW = { slowTokenMs: 1_000 } as const;

const services = await findServices();
const name =
  'a worker process that is frozen in mid-refresh for longer than its lease, and wakes after another one has taken over';

if (services.postgres === null) {
  describe.skip(`${name} ${missingOf(services)}`, () => {
    test('changes nothing that the other one did', () => undefined);
  });
} else {
  describe.concurrent(name, () => {
    let opened: Stage | null = null;
    const stage = (): Stage => {
      if (opened === null) throw new Error('the stage did not open');
      return opened;
    };

    beforeAll(async () => {
      opened = await openStage(services);
    });

    afterAll(async () => {
      await opened?.close();
    });

    test.for(['B', 'C'] as const)(
      'with the reply unread (policy %s): its late pair is dropped, and the authorization lives',
      { timeout: CAP_MS },
      async (policy, { expect }) => {
        const frozen = await freeze({ stage: stage(), moment: 'reply-on-its-way', knobs: POLICIES[policy].knobs });
        await frozen.takenOver();
        const winner = await frozen.tokens();
        await frozen.wake();
        expect(await frozen.tokens(), 'the winner’s pair is untouched').toEqual(winner);
        expect(winner?.version).toBe(2);
        expect(await frozen.books()).toMatchObject({ refreshes: 1, reusedRefreshTokens: 1, refusedRefreshTokens: 0 });
        expect(await refreshOnceMore(frozen)).toMatchObject({ alive: true });
      },
    );

    test('with the reply unread at a strict source: condemned meanwhile as ambiguous, it lives again by the pair that comes in late', {
      timeout: CAP_MS,
    }, async ({ expect }) => {
      const frozen = await freeze({ stage: stage(), moment: 'reply-on-its-way', knobs: STRICT });
      await frozen.takenOver();
      expect(await frozen.state()).toEqual(['needs_reauthorization', 'ambiguous_refresh']);
      await frozen.wake();
      expect(await frozen.state()).toEqual(['active', 'late_reply']);
      expect(await frozen.events()).toEqual(['needs_reauthorization', 'repaired']);
      expect(await refreshOnceMore(frozen)).toMatchObject({ alive: true });
      expect(await frozen.books()).toMatchObject({ refreshes: 2, reusedRefreshTokens: 1 });
    });

    test('the same, frozen for longer than the request may take: the reply that lies in its socket is not thrown away', {
      timeout: CAP_MS,
    }, async ({ expect }) => {
      const frozen = await freeze({ stage: stage(), moment: 'reply-on-its-way', knobs: STRICT });
      await frozen.takenOver();
      await frozen.frozenFor(LIMITS.tokenRequestTimeoutMs + LIMITS.connectTimeoutMs / 5);
      await frozen.wake();
      expect(await frozen.state()).toEqual(['active', 'late_reply']);
      expect(await refreshOnceMore(frozen)).toMatchObject({ alive: true });
    });

    test('with the reply unread at a source that has revoked the family since: its next run asks for a new consent again, and blames nobody', {
      timeout: CAP_MS,
    }, async ({ expect }) => {
      const frozen = await freeze({ stage: stage(), moment: 'reply-on-its-way', knobs: POLICIES.D.knobs });
      await frozen.takenOver();
      await frozen.wake();
      await frozen.nextRun();
      expect(await frozen.state()).toEqual(['needs_reauthorization', 'ambiguous_refresh']);
      expect((await frozen.events()).at(-1)).toBe('needs_reauthorization');
    });

    test.for(['intent-written', 'refresh-called', 'connection-stands'] as const)(
      'with nothing sent yet (%s): it sends nothing',
      { timeout: CAP_MS },
      async (moment, { expect }) => {
        const frozen = await freeze({ stage: stage(), moment, knobs: POLICIES.B.knobs });
        await frozen.takenOver();
        const winner = await frozen.tokens();
        await frozen.wake();
        expect(await frozen.books()).toMatchObject({ refreshes: 1, reusedRefreshTokens: 0, refusedRefreshTokens: 0 });
        expect(await frozen.tokens()).toEqual(winner);
        expect(await refreshOnceMore(frozen)).toMatchObject({ alive: true });
      },
    );

    test('control: one that does not ask whether it may still send, sends the superseded token', {
      timeout: CAP_MS,
    }, async ({ expect }) => {
      const knobs = POLICIES.B.knobs;
      const frozen = await freeze({ stage: stage(), moment: 'connection-stands', knobs, defect: 'sends-always' });
      await frozen.takenOver();
      await frozen.wake();
      expect(await frozen.books()).toMatchObject({ refreshes: 1, reusedRefreshTokens: 1 });
    });
  });
}

type Frozen = {
  readonly stage: Stage;
  readonly subject: Subject;
  /** Waits until the surviving worker has closed the attempt. */
  readonly takenOver: () => Promise<void>;
  /** Lets it go on and waits for its end. */
  readonly wake: () => Promise<void>;
  readonly tokens: () => ReturnType<Stage['context']['store']['tokens']>;
  readonly books: () => Promise<Books>;
  readonly state: () => Promise<readonly unknown[]>;
  readonly events: () => Promise<readonly string[]>;
  readonly nextRun: () => Promise<void>;
  /** Waits until it has stood still for so long. */
  readonly frozenFor: (wallMs: number) => Promise<void>;
};

/** Runs a due authorization in a process that stops itself at `moment`, and waits until it stands still. */
async function freeze({
  stage,
  moment,
  knobs,
  defect = 'none',
}: {
  readonly stage: Stage;
  readonly moment: Order['moment'];
  readonly knobs: Parameters<typeof handOver>[0]['knobs'];
  readonly defect?: Order['defect'];
}): Promise<Frozen> {
  const { hands, context, tokenEndpoint } = stage;
  const hand = await hands.take();
  const id = `frozen-${context.entropy.id()}`;
  const slow = moment === 'reply-on-its-way' ? SLOW : {};
  const subject = await handOver({ stage, id, knobs: { ...knobs, ...slow } });
  hand.order({ authorizationId: id, deed: 'stop', moment, detail: 0, defect, tokenEndpoint });
  await hand.says('struck');
  const standing = context.clock.stopwatch();
  return {
    stage,
    subject,
    takenOver: () => takenOver({ stage, id }),
    wake: () => wake(hand),
    tokens: () => context.store.tokens(id),
    books: () => stage.books(subject.link),
    state: async () => {
      const authorization = await context.store.get(id);
      return [authorization?.state, authorization?.stateReason];
    },
    events: async () => {
      const events = await context.store.events({ after: 0, limit: EVENTS_PAGE });
      return events.filter(({ authorizationId }) => authorizationId === id).map(({ kind }) => kind);
    },
    frozenFor: (wallMs) => context.clock.sleep(wallMs - standing()),
    nextRun: async () => {
      const signal = new AbortController().signal;
      await refreshAndPull({ context, authorizationId: id, askedFor: false, signal });
    },
  };
}

async function takenOver({ stage, id }: { readonly stage: Stage; readonly id: string }): Promise<void> {
  await until(
    'the attempt is closed by the one that survives',
    async () => stage.closedAt(id) !== null && (await stage.context.store.intent(id)) === null,
    (closed) => closed,
    { capMs: TAKEN_OVER_CAP_MS },
  );
}

async function wake(hand: Hand): Promise<void> {
  hand.signal('SIGCONT');
  const cap = AbortSignal.timeout(WOKEN_CAP_MS);
  cap.addEventListener('abort', () => hand.signal('SIGKILL'), { once: true });
  await hand.says('ended');
  const { code } = await hand.ended;
  if (code !== 0) throw new Error(`the woken process ended with ${code}`);
}
