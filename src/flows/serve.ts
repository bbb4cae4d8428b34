import type { Service } from '../contract/service.ts';
import type { AuthorizationView } from '../contract/wire.ts';
import type { Authorization } from '../core/authorization.ts';
import { PerennialError } from '../core/errors.ts';
import { UNITS } from '../core/limits.ts';
import { accept } from './accept.ts';
import type { Context } from './context.ts';
import { fleetOf } from './fleet.ts';
import { createTokenDesk, type TokenDesk } from './give-token.ts';
import { planLoad } from './plan-load.ts';
import { pullNow } from './pull-now.ts';
import { readAudit, readAuditHeads, readReceipt, readReceipts } from './read-audit.ts';
import { readChanges, readRecords } from './read-records.ts';
import { readTypes } from './read-types.ts';
import { release } from './release.ts';
import { requestPurge } from './request-purge.ts';
import { countKeys, rotateKeys } from './rotate-keys.ts';
import { settleSuspected } from './settle-suspected.ts';
import { takeHook } from './take-hook.ts';
import { eventViewOf, sourceViewOf, tokenViewOf, viewOf } from './view.ts';

/** The doors' one counter: what HTTP, the sealed intake and the command line call. */
export function createService(context: Context, desk: TokenDesk = createTokenDesk(context)): Service {
  const { store, clock, cadence } = context;
  const view = (authorization: Authorization): AuthorizationView =>
    viewOf({ authorization, cadence, now: clock.now() });
  const found = async (id: string): Promise<Authorization> => {
    const authorization = await store.get(id);
    if (authorization === null) throw new PerennialError('authorization_not_found');
    return authorization;
  };
  return {
    accept: async ({ request, actor }) => {
      const { authorization, created } = await accept({ context, request, actor });
      return { authorization: view(authorization), created };
    },
    status: async (id) => view(await found(id)),
    list: async (page) => (await store.list(page)).map(view),
    requestPurge: async ({ id, actor }) => view(await requestPurge({ context, authorization: await found(id), actor })),
    pullNow: async ({ id, actor }) => {
      const authorization = await found(id);
      await pullNow({ context, authorization, actor });
      return view(authorization);
    },
    release: async ({ id, actor }) => view(await release({ context, authorization: await found(id), actor })),
    records: ({ id, ...wanted }) => readRecords({ context, authorizationId: id, ...wanted }),
    types: ({ id, actor }) => readTypes({ context, authorizationId: id, actor }),
    settleSuspected: ({ id, ...word }) => settleSuspected({ context, authorizationId: id, ...word }),
    changes: ({ id, actor, after, limit }) => readChanges({ context, authorizationId: id, actor, after, limit }),
    token: async ({ id, actor }) => {
      const { authorization, given, patient } = await desk.hand({ authorizationId: id, actor });
      return tokenViewOf({ context, authorization, given, patient });
    },
    events: async (page) => (await store.events(page)).map(eventViewOf),
    calendar: async ({ withinDays, limit }) => {
      const before = clock.now() + withinDays * UNITS.DAY_MS;
      const ending = (await store.calendar({ before, limit })).map(view);
      const [all, waiting] = await Promise.all([store.countEnding({ before }), store.countWaiting()]);
      return { ending, more: Math.max(0, all - ending.length), waiting };
    },
    fleet: () => fleetOf(context),
    takeHook: (hook) => takeHook({ context, ...hook }),
    planLoad: (table) => planLoad({ context, table }),
    sources: async () => (await store.sourceStates()).map(sourceViewOf),
    receipt: ({ id, actor }) => readReceipt({ context, authorizationId: id, actor }),
    receipts: (page) => readReceipts({ context, ...page }),
    audit: (page) => readAudit({ context, ...page }),
    auditHeads: () => readAuditHeads({ context }),
    noteOperation: ({ actor, what }) =>
      store.appendAudit({ at: clock.now(), authorizationId: null, actor, action: 'operate:queue', reason: what }),
    rotateKeys: (page) => rotateKeys({ context, ...page }),
    keys: (page) => countKeys({ context, ...page }),
  };
}
