import { randomUUID } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readFlexpaHook } from '../../src/adapters/upstream/flexpa-hook.ts';
import { refOf } from '../../src/adapters/upstream/flexpa-ref.ts';
import { sourcesSchema } from '../../src/adapters/upstream/source-config.ts';
import { createSources } from '../../src/adapters/upstream/sources.ts';
import { createWebServer } from '../../src/adapters/web/server.ts';
import type { Service } from '../../src/contract/service.ts';
import { FRESHNESS_LIMITS } from '../../src/core/freshness-limits.ts';
import type { Added } from '../../src/core/ports/queue.ts';
import type { Store } from '../../src/core/ports/store.ts';
import type { HookDelivery, Source } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';
import { takeHook } from '../../src/flows/take-hook.ts';
import { signatureOf } from '../../src/sandbox/webhooks.ts';
import { createFakeService } from '../support/fake-service.ts';
import { authorizationOf } from '../support/model/accept.ts';
import { createStoreModel } from '../support/model/store.ts';
import { NO_METRICS } from '../support/model/worker.ts';
import { createLogMemory, webOptions } from '../support/web.ts';
import { clockAt } from '../upstream/raw-server.ts';

const NOW = Date.UTC(2026, 6, 1, 12, 0, 0);
const SECRET = 'canary-secret-of-webhooks';
const OLD_SECRET = 'canary-secret-going-out';
const UPSTREAM_ID = randomUUID();
const ID = 'portal-patient-7';

type Hook = Parameters<Service['takeHook']>[0];
/** What a variant breaks. */
type Variant = {
  /** So many adds meet a job that runs. */
  readonly runsFor?: number;
  readonly read?: NonNullable<Source['readHook']>;
  readonly store?: (store: Store) => Partial<Store>;
};

/** A web server over the real flow and the model's store, with one authorization that the source calls {@link UPSTREAM_ID}. */
async function startHooks({ read, runsFor = 0, store: broken = () => ({}) }: Variant = {}) {
  const { store: model } = createStoreModel({ now: () => NOW });
  const store = { ...model, ...broken(model) };
  const flexpa = { kind: 'flexpa', publishableKey: 'pk_test_1', secretKey: 'sk_test_1' };
  const config = { flexpa: { ...flexpa, webhookSecret: [OLD_SECRET, SECRET] }, deaf: flexpa };
  const real = createSources({ config: sourcesSchema.parse(config), clock: clockAt(() => NOW) });
  const sources = {
    ...real,
    get: (name: string) => {
      const source = real.get(name);
      return source === undefined || read === undefined ? source : { ...source, readHook: read };
    },
  };
  const authorization = {
    ...authorizationOf(ID),
    source: 'flexpa',
    upstreamRef: refOf({ source: 'flexpa', id: UPSTREAM_ID }),
  };
  await store.insert({
    authorization,
    fingerprint: 'f',
    keyFingerprint: 'k',
    actor: 'test',
    tokens: {
      version: 1,
      hasRefreshToken: true,
      accessExpiresAt: NOW,
      accessLifetimeMs: 1,
      refreshExpiresAt: null,
      doubtAt: null,
      sealed: new Uint8Array(),
    },
  });
  const jobs: string[] = [];
  const { log, lines } = createLogMemory();
  const add = async ({ reason }: { readonly reason: string }): Promise<Added> => {
    jobs.push(reason);
    return jobs.length > runsFor ? 'waits' : 'runs';
  };
  const queue = { add };
  const context = { sources, store, queue, clock: clockAt(() => NOW), log, metrics: NO_METRICS };
  const options = webOptions({ service: createFakeService(), log });
  const service = { ...options.service, takeHook: (hook: Hook) => takeHook({ context, ...hook }) };
  const web = await createWebServer({ ...options, service });
  onTestFinished(async () => {
    await web.close();
    await real.close();
  });
  const send = async (delivery: Partial<Delivery> = {}): Promise<number> => {
    const { body, signature, source, type } = { ...deliveryOf(), ...delivery };
    const headers = {
      ...(type === null ? {} : { 'content-type': type }),
      ...(signature === null ? {} : { 'x-flexpa-signature': signature }),
    };
    const answer = await fetch(`${web.url}/v1/hooks/${source}`, { method: 'POST', headers, body });
    const text = await answer.text();
    expect(`${text}${JSON.stringify([...answer.headers])}`).not.toMatch(/canary|portal-patient/);
    return answer.status;
  };
  return { send, jobs, lines, store };
}

type Delivery = {
  readonly body: string;
  readonly signature: string | null;
  readonly source: string;
  readonly type: string | null;
};

function bodyOf(change: object = {}): string {
  const data = { mode: 'test', patient_authorization_id: UPSTREAM_ID, consent_id: randomUUID() };
  return JSON.stringify({
    event_id: randomUUID(),
    event: 'sync_completed',
    version: 1,
    timestamp: NOW,
    data,
    ...change,
  });
}

function deliveryOf(body = bodyOf(), { secret = SECRET, at = NOW } = {}): Delivery {
  return { body, signature: signatureOf({ secret, body, wallNow: at }), source: 'flexpa', type: 'application/json' };
}

/** Everything that must be refused or have no effect, done one after the other; what was wrong, in words. */
async function faultsOf(variant: Variant): Promise<readonly string[]> {
  const { send, jobs } = await startHooks(variant);
  const faults: string[] = [];
  const expectStatus = async (what: string, status: number, delivery: Delivery) => {
    const before = jobs.length;
    if ((await send(delivery)) !== status) faults.push(what);
    if (status >= 400 && jobs.length !== before) faults.push(`${what}: had an effect`);
  };
  const good = deliveryOf();
  await expectStatus('good', 204, good);
  await expectStatus('wrong secret', 401, deliveryOf(bodyOf(), { secret: 'another-secret-altogether' }));
  await expectStatus('tampered', 401, { ...good, body: good.body.replace('sync_completed', 'refresh_expired') });
  await expectStatus('old', 401, deliveryOf(bodyOf(), { at: NOW - 301_000 }));
  await expectStatus('of the future', 401, deliveryOf(bodyOf(), { at: NOW + 302_000 }));
  const before = jobs.length;
  await expectStatus('replayed', 204, good);
  if (jobs.length !== before) faults.push('replayed: had an effect');
  return faults;
}

describe('a webhook', () => {
  test('that is signed pulls the authorization it means, once, however often it comes', async () => {
    const { send, jobs, store } = await startHooks();
    const delivery = deliveryOf();
    for (let times = 0; times < 3; times += 1) expect(await send(delivery)).toBe(204);
    expect(jobs).toEqual(['told']);
    expect(await store.get(ID)).toMatchObject({ toldAt: NOW, nextRunAt: expect.any(Number) });
  });

  test.each([
    ['by the consent it came from', { data: { consent_id: UPSTREAM_ID } }],
    ['by our own id, which the caller gave the source', { data: { external_id: ID } }],
  ])('finds it %s', async (_which, change) => {
    const { send, jobs } = await startHooks();
    expect(await send(deliveryOf(bodyOf(change)))).toBe(204);
    expect(jobs).toEqual(['told']);
  });

  test('that meets a job which has planned already brings a run behind it', async () => {
    const { send, jobs } = await startHooks({ runsFor: 2 });
    expect(await send()).toBe(204);
    expect(jobs).toEqual(['told', 'told', 'told']);
  });

  test('of a refresh that is over has the grant looked at, and condemns nobody by itself', async () => {
    const { send, jobs, store } = await startHooks();
    expect(await send(deliveryOf(bodyOf({ event: 'refresh_expired' })))).toBe(204);
    expect(jobs).toEqual(['doubted']);
    expect(await store.get(ID)).toMatchObject({ state: 'active', toldAt: NOW, doubtedVersion: 1 });
  });

  test.each(['sync_failed', 'something_new'])('of %s is taken, and no run comes of it', async (event) => {
    const { send, jobs } = await startHooks();
    expect(await send(deliveryOf(bodyOf({ event })))).toBe(204);
    expect(jobs).toEqual([]);
  });

  test('of an endpoint is noted with its status', async () => {
    const { send, lines } = await startHooks();
    const data = { endpoint_id: 'payer-1', status: 'BROKEN' };
    expect(await send(deliveryOf(bodyOf({ event: 'endpoint_status_changed', data })))).toBe(204);
    expect(lines).toContainEqual({
      level: 'warn',
      event: 'endpoint_status',
      fields: { source: 'flexpa', endpointId: 'payer-1', reason: 'BROKEN' },
    });
  });

  test('that means nobody is answered like one that means somebody', async () => {
    const { send, jobs } = await startHooks();
    for (const data of [{ patient_authorization_id: randomUUID() }, { external_id: 'nobody' }, {}, null, undefined]) {
      expect(await send(deliveryOf(bodyOf({ data })))).toBe(204);
    }
    expect(jobs).toEqual([]);
  });

  test('passes by either of two secrets, and with a signature by a third beside', async () => {
    const { send } = await startHooks();
    expect(await send(deliveryOf(bodyOf(), { secret: OLD_SECRET }))).toBe(204);
    const { body, signature } = deliveryOf();
    const [time, right] = (signature ?? '').split(',');
    expect(await send({ body, signature: `v0=x, ${time}, v1=${'0'.repeat(64)}, ${right}` })).toBe(204);
  });

  test('is read as bytes, whatever type it says', async () => {
    const { send } = await startHooks();
    const body = bodyOf().replace('{', '{\n\t "umlaut": "\u00e4\u20ac", ');
    for (const type of ['application/json; charset=utf-8', 'text/plain', null]) {
      expect(
        await send({ ...deliveryOf(body.replace(/"event_id":"[^"]+"/, `"event_id":"${randomUUID()}"`)), type }),
      ).toBe(204);
    }
  });

  test.each([
    ['without a signature', 401, () => ({ signature: null })],
    ['with an empty signature', 401, () => ({ signature: '' })],
    ['with a signature of no time', 401, () => ({ signature: `v1=${'0'.repeat(64)}` })],
    ['with an endless signature', 401, () => ({ signature: `t=1,v1=${'0'.repeat(5_000)}` })],
    ['to a source that we do not have', 401, () => ({ source: 'nowhere' })],
    ['to a source that signs with nothing', 401, () => ({ source: 'deaf' })],
    ['that is no JSON', 401, () => deliveryOf('canary')],
    ['that is no event', 401, () => deliveryOf('{"canary":1}')],
    ['that is empty', 401, () => deliveryOf('')],
    ['that is too large', 413, () => deliveryOf('x'.repeat(FRESHNESS_LIMITS.hookMaxBytes + 1))],
  ] as const)('%s is refused with %d', async (_which, status, delivery) => {
    const { send, jobs, lines } = await startHooks();
    expect(await send(delivery())).toBe(status);
    expect(jobs).toEqual([]);
    expect(JSON.stringify(lines)).not.toContain('canary');
  });
});

describe('a receiver of webhooks', () => {
  test('refuses what is forged, altered, old or of the future, and lets nothing happen twice', async () => {
    expect(await faultsOf({})).toEqual([]);
  });

  const secrets = [new Secret(SECRET)];
  const read = (delivery: HookDelivery) => readFlexpaHook({ source: 'flexpa', secrets, ...delivery });

  test('control: one that does not check the signature is caught', async () => {
    const sign = ({ signature, body, wallNow }: HookDelivery) => {
      const at = Number(/t=(\d+)/.exec(signature ?? '')?.[1]) * 1_000;
      return {
        signature: signatureOf({ secret: SECRET, body: Buffer.from(body).toString(), wallNow: at }),
        body,
        wallNow,
      };
    };
    expect(await faultsOf({ read: (delivery) => read(sign(delivery)) })).toEqual(
      expect.arrayContaining(['wrong secret', 'tampered']),
    );
  });

  test('control: one that does not check the time is caught', async () => {
    const dated = ({ signature, ...rest }: HookDelivery) => {
      return { ...rest, signature, wallNow: Number(/t=(\d+)/.exec(signature ?? '')?.[1]) * 1_000 };
    };
    expect(await faultsOf({ read: (delivery) => read(dated(delivery)) })).toEqual(
      expect.arrayContaining(['old', 'of the future']),
    );
  });

  test('control: one that remembers no event is caught', async () => {
    const store = ({ takeHook: take }: Store): Partial<Store> => ({
      takeHook: (value) => take({ ...value, eventId: randomUUID() }),
    });
    expect(await faultsOf({ store })).toEqual(['replayed: had an effect']);
  });
});
