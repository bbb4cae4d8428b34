import { randomBytes } from 'node:crypto';
import { readEnvironment } from '../../src/config.ts';
import { parseAuthorizationRequest } from '../../src/contract/wire.ts';
import { UNITS } from '../../src/core/limits.ts';
import type { LogFields } from '../../src/core/ports/telemetry.ts';
import type { Context } from '../../src/flows/context.ts';
import { openJournal } from '../../src/flows/pull-journal.ts';
import { refreshAndPull } from '../../src/flows/refresh-and-pull.ts';
import { createService } from '../../src/flows/serve.ts';
import { compose } from '../../src/main/compose.ts';
import type { Place } from '../support/system-places.ts';

/** What one pull reported of itself. */
export type Pulled = { readonly reason: string; readonly changed: number; readonly bytes: number };

/** All that the store holds of an authorization's records, each part by its name. */
export type AtRest = { readonly parts: ReadonlyMap<string, Uint8Array>; readonly bytes: number };

/** A Perennial as the composition root opens it, without a worker: what runs here runs when it is told to. */
export type House = {
  readonly accept: (patient: string) => Promise<string>;
  /** One run of the repeating job: `full` as if somebody had asked for it, `changes` as hours later when it is due. */
  readonly pull: (wanted: { readonly id: string; readonly what: 'full' | 'changes' }) => Promise<Pulled>;
  readonly atRest: (id: string) => Promise<AtRest>;
  readonly close: () => Promise<void>;
};

const ACTOR = 'bench';
const TOKEN_LIVES_S = 180 * 24 * 3_600;
/** Past the network's period, and before a token is refreshed only because a day has gone by. */
const LATER_MS = 7 * UNITS.HOUR_MS;
const CHANGES_MAX = 500;

/** Opens it at `place`, with one source that serves FHIR at `url`. */
export async function openHouse({
  place,
  url,
  types,
}: {
  readonly place: Place;
  readonly url: string;
  /** What is asked for; a source's own list may be longer or shorter than what a patient has. */
  readonly types: readonly string[];
}): Promise<House> {
  const keys = { publishableKey: 'pk_test_bench', secretKey: 'sk_test_bench' };
  const source = { kind: 'flexpa', baseUrl: url, ...keys, resourceTypes: types };
  const environment = readEnvironment({
    ...place.settings,
    ENCRYPTION_KEYS: `bench:${randomBytes(32).toString('base64')}`,
    SOURCES: JSON.stringify({ bench: source }),
    LOG_LEVEL: 'silent',
  });
  const composition = await compose(environment);
  const { context } = composition;
  const service = createService(context);
  let accepted = 0;
  return {
    accept: async (patient) => {
      accepted += 1;
      const request = parseAuthorizationRequest({
        id: `bench-${accepted}`,
        source: 'bench',
        usage: 'MULTIPLE',
        network: 'TEFCA_IAS',
        endpoint: { id: 'bench' },
        patient: `Patient/${patient}`,
        accessToken: 'access',
        expiresIn: TOKEN_LIVES_S,
        refreshToken: 'refresh',
        refreshExpiresIn: 0,
      });
      return (await service.accept({ request, actor: ACTOR })).authorization.id;
    },
    pull: ({ id, what }) => pull({ context: what === 'full' ? context : later(context), id, what }),
    atRest: (id) => atRest({ context, id }),
    close: composition.close,
  };
}

async function pull({
  context,
  id,
  what,
}: {
  readonly context: Context;
  readonly id: string;
  readonly what: 'full' | 'changes';
}): Promise<Pulled> {
  const told = new Map<string, LogFields>();
  const tell = (event: string, fields: LogFields = {}): void => void told.set(event, fields);
  const log = { info: tell, warn: tell, error: tell };
  const { signal } = new AbortController();
  const askedFor = what === 'full';
  const outcome = await refreshAndPull({ context: { ...context, log }, authorizationId: id, askedFor, signal });
  const [begun, ended] = [told.get('pull_begun'), told.get('pull_ended')];
  if (begun === undefined || ended?.reason !== 'complete') {
    throw new Error(`no complete pull: ${JSON.stringify({ outcome, told: [...told] })}`);
  }
  const changed = (ended.added ?? 0) + (ended.modified ?? 0) + (ended.removed ?? 0);
  return { reason: begun.reason ?? '', changed, bytes: ended.bytes ?? 0 };
}

/** The same house when the next run is due: hours of waiting are nothing to measure. */
function later(context: Context): Context {
  const now = () => context.clock.now() + LATER_MS;
  const clock = { ...context.clock, now };
  const nextRunAt: Context['queue']['nextRunAt'] = ({ periodMs }) => now() + periodMs;
  return { ...context, clock, queue: { ...context.queue, nextRunAt } };
}

async function atRest({ context, id }: { readonly context: Context; readonly id: string }): Promise<AtRest> {
  const { store, vault } = context;
  const parts = new Map<string, Uint8Array>();
  for (const { key, sealed } of await store.manifests(id)) parts.set(`manifest ${key}`, sealed);
  const { state } = await openJournal({ context, key: await vault.open(id), authorizationId: id });
  for (const pack of Object.keys(state.packs)) {
    const sealed = await store.pack({ authorizationId: id, id: pack });
    if (sealed === null) throw new Error('a pack is not there');
    parts.set(`pack ${pack}`, sealed);
  }
  const bytes = [...parts.values()].reduce((sum, part) => sum + part.length, 0);
  const changes = await store.changes({ authorizationId: id, after: 0, limit: CHANGES_MAX });
  for (const { cursor, sealed } of changes) parts.set(`change ${cursor}`, sealed);
  return { parts, bytes };
}
