import { setTimeout as wait } from 'node:timers/promises';
import type { Served } from '../../support/processes.ts';
import { until } from '../../support/system-until.ts';
import type { World } from '../../support/world.ts';
import type { Member } from './cast.ts';

/** A caller insists for so long; servers are away for seconds. */
const INSIST_CAP_MS = 90_000;
const AGAIN_AFTER_MS = 500;
/** A caller asks for a pull so many times, this far apart: at once with the repeating job now and then. */
const ASKED_TIMES = 6;
const ASKED_EVERY_MS = 3_000;

type Stage = { readonly world: World; readonly web: Served };

/** What patients and callers do while the faults go on: connect, revoke, end, ask; each at its time, and again until it is taken. */
export async function disturb({ world, web, members }: Stage & { readonly members: readonly Member[] }): Promise<void> {
  const begunAt = performance.now();
  const at = (ms: number): Promise<void> => wait(Math.max(0, begunAt + ms - performance.now()));
  await Promise.all(
    members.map(async (member) => {
      await at(member.handOverAtMs);
      await handOver({ web, member });
      await at(member.eventAtMs);
      await happen({ world, web, member });
    }),
  );
}

/** Hands one over, again and again if need be, since the id makes it one. */
export function handOver({ web, member }: { readonly web: Served; readonly member: Member }): Promise<void> {
  return insist(`${member.id} is handed over`, () => web.api.enqueue(member.request).catch(ignorePurged));
}

/** Taken when its answer was lost, and over by the next try. */
function ignorePurged(error: unknown): void {
  if (error instanceof Error && Reflect.get(error, 'code') === 'authorization_purged') return;
  throw error;
}

async function happen({ world, web, member: { id, kind, link } }: Stage & { readonly member: Member }): Promise<void> {
  switch (kind) {
    case 'kept_lost_reply':
      return world.turn(link.authorizationId, { lostReplies: 1 });
    case 'kept':
      return void (await world.change(link.patient, { add: 1, edit: 1 }));
    case 'revoked':
      return world.revoke(link.authorizationId);
    case 'ended':
      return insist(`${id} is ended`, () => web.api.purge(id));
    case 'kept_asked':
      for (let times = 0; times < ASKED_TIMES; times += 1) {
        // One that does not stand any more refuses, and is judged by its state.
        await web.api.pull(id).catch(() => undefined);
        await wait(ASKED_EVERY_MS);
      }
      return;
    default:
      return;
  }
}

async function insist(what: string, act: () => Promise<unknown>): Promise<void> {
  const taken = async (): Promise<string> => {
    try {
      await act();
      return 'taken';
    } catch (error) {
      return error instanceof Error ? error.message : 'failed';
    }
  };
  await until(what, taken, (seen) => seen === 'taken', { capMs: INSIST_CAP_MS, everyMs: AGAIN_AFTER_MS });
}
