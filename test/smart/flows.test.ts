import { randomBytes } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readEnvironment } from '../../src/config.ts';
import { type AuthorizationRequest, parseAuthorizationRequest } from '../../src/contract/wire.ts';
import type { Source } from '../../src/core/ports/upstream.ts';
import type { Context } from '../../src/flows/context.ts';
import { purge } from '../../src/flows/purge.ts';
import { refreshAndPull } from '../../src/flows/refresh-and-pull.ts';
import { createService } from '../../src/flows/serve.ts';
import { openTokens, sealTokens } from '../../src/flows/token-vault.ts';
import { type Composition, compose } from '../../src/main/compose.ts';
import { type Consent, type SmartAuthority, startSmartAuthority } from '../support/oidc-provider.ts';
import { QUIET_QUEUE } from '../support/quiet-queue.ts';
import { bestPlace, type Place } from '../support/system-places.ts';

const SECRET = 'a-secret-of-32-characters-and-more';
const ROTATIONS = 5;
const CALLERS = 50;
const { signal } = new AbortController();

let authority: SmartAuthority;
let place: Place;
let house: Composition;

beforeAll(async () => {
  const pair = await generateKeyPair('ES384', { extractable: true });
  const [publicKey, privateKey] = [await exportJWK(pair.publicKey), await exportJWK(pair.privateKey)];
  const kid = { kid: 'key-1' };
  authority = await startSmartAuthority({
    clients: [
      { client_id: 'basic', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_basic' },
      { client_id: 'public', token_endpoint_auth_method: 'none' },
      {
        client_id: 'signing',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES384',
        jwks: { keys: [{ ...publicKey, ...kid }] },
      },
    ],
  });
  const { fhirBaseUrl } = authority;
  const smart = { kind: 'smart', fhirBaseUrl };
  const basic = { ...smart, clientId: 'basic', auth: { method: 'client_secret_basic', clientSecret: SECRET } };
  place = await bestPlace();
  house = await compose(
    readEnvironment({
      ...place.settings,
      ENCRYPTION_KEYS: `test:${randomBytes(32).toString('base64')}`,
      LOG_LEVEL: 'silent',
      SOURCES: JSON.stringify({
        basic,
        public: { ...smart, clientId: 'public', auth: { method: 'none' } },
        signing: {
          ...smart,
          clientId: 'signing',
          auth: { method: 'private_key_jwt', algorithm: 'ES384', privateKey: { ...privateKey, ...kid } },
        },
        mistaken: { ...basic, auth: { ...basic.auth, clientSecret: 'another-secret-of-32-characters' } },
      }),
    }),
  );
});

afterAll(async () => {
  await house.close();
  await authority.close();
  await place.close();
});

describe('the flows against a certified authorization server that rotates and detects reuse', () => {
  test.each(['basic', 'public', 'signing'])(
    `keep an authorization alive through ${ROTATIONS} rotations, as the client %s`,
    async (source) => {
      const consent = await authority.mint({ clientId: source });
      const id = `rotates-${source}`;
      await accept({ id, source, consent });
      const spent = new Set([consent.refreshToken]);
      for (let turn = 0; turn < ROTATIONS; turn += 1) {
        await makeDue(id);
        await run(id);
        const { refreshToken } = await tokensOf(id);
        expect(refreshToken).not.toBeNull();
        spent.add(refreshToken?.reveal() ?? '');
      }
      expect(spent.size).toBe(ROTATIONS + 1);
      expect(await status(id)).toMatchObject({ state: 'active', failedRuns: 0, lastPull: { result: 'complete' } });
      expect(await recordsOf(id)).toEqual([`Condition/${consent.patient}-c1`, `Patient/${consent.patient}`]);
    },
  );

  test(`${CALLERS} callers who ask for one due token send one refresh, and the family lives`, async () => {
    const id = 'many-callers';
    await accept({ id, source: 'basic', consent: await authority.mint({ clientId: 'basic' }) });
    await makeDue(id);
    const before = authority.asked('POST /token');
    const workers = ['one', 'two', 'three'].map((owner) => createService({ ...quiet(), owner }));
    const asked = Array.from({ length: CALLERS }, (_, index) =>
      workers[index % workers.length]?.token({ id, actor: 'test' }),
    );
    expect(new Set((await Promise.all(asked)).map((handed) => handed?.accessToken)).size).toBe(1);
    expect(authority.asked('POST /token') - before).toBe(1);
    await makeDue(id);
    await run(id);
    expect(await status(id)).toMatchObject({ state: 'active', trouble: null });
  });

  test('control: the same callers without a lease make the server see reuse, and the family dies', async () => {
    const id = 'many-callers-control';
    await accept({ id, source: 'basic', consent: await authority.mint({ clientId: 'basic' }) });
    await makeDue(id);
    const broken = together({ context: withoutLease(quiet()), count: 5 });
    await Promise.all(Array.from({ length: 5 }, () => run(id, broken)));
    await makeDue(id);
    await run(id);
    expect((await status(id)).state).toBe('needs_reauthorization');
  });

  test('a reply that is lost at a server that detects reuse is announced as ambiguous', async () => {
    const id = 'lost-reply';
    await accept({ id, source: 'basic', consent: await authority.mint({ clientId: 'basic' }) });
    await makeDue(id);
    await run(id, losingReplies(quiet()));
    expect(await status(id)).toMatchObject({ state: 'needs_reauthorization', why: 'ambiguous_refresh' });
  });

  test('a consent that the patient took back ends as revoked, and a new one under the same id lives', async () => {
    const id = 'withdrawn';
    const consent = await authority.mint({ clientId: 'basic' });
    await accept({ id, source: 'basic', consent });
    await run(id);
    await authority.withdraw(consent);
    await makeDue(id);
    await run(id);
    expect(await status(id)).toMatchObject({ state: 'needs_reauthorization', why: 'revoked' });
    await accept({
      id,
      source: 'basic',
      consent: await authority.mint({ clientId: 'basic', patient: consent.patient }),
    });
    await run(id);
    expect(await status(id)).toMatchObject({ state: 'active', why: 'reauthorized', lastPull: { result: 'complete' } });
  });

  test('a client secret that is wrong suspends the source and changes no patient’s state', async () => {
    const id = 'mistaken-client';
    await accept({ id, source: 'mistaken', consent: await authority.mint({ clientId: 'basic' }) });
    await makeDue(id);
    await run(id);
    expect(await status(id)).toMatchObject({ state: 'active', trouble: { kind: 'misconfigured' } });
    const states = await house.context.store.sourceStates();
    expect(states.find(({ source }) => source === 'mistaken')).toMatchObject({ condition: 'suspended' });
  });

  test('a purge revokes the consent at the server', async () => {
    const id = 'purged';
    const consent = await authority.mint({ clientId: 'basic' });
    await accept({ id, source: 'basic', consent });
    await createService(quiet()).requestPurge({ id, actor: 'test' });
    await purge({ context: quiet(), authorizationId: id, signal });
    expect(await status(id)).toMatchObject({ state: 'purged' });
    expect(authority.asked('POST /token/revocation')).toBeGreaterThan(0);
    const answer = await fetch(`${authority.fhirBaseUrl}/Patient?_id=${consent.patient}`, {
      headers: { authorization: `Bearer ${consent.accessToken}` },
    });
    await answer.arrayBuffer();
    expect(answer.status).toBe(401);
  });

  test('a public token is refused at the door of a source that exchanges none', async () => {
    const request = parseAuthorizationRequest({ ...requestOf('no-exchange', 'basic'), publicToken: 'p-1' });
    const service = createService(quiet());
    await expect(service.accept({ request, actor: 'test' })).rejects.toMatchObject({
      code: 'public_token_unsupported',
      field: 'publicToken',
    });
  });
});

function requestOf(id: string, source: string) {
  return { id, source, usage: 'MULTIPLE', network: 'ONC_G10', endpoint: { id: 'ehr-1' } };
}

async function accept({
  id,
  source,
  consent,
}: {
  readonly id: string;
  readonly source: string;
  readonly consent: Consent;
}): Promise<void> {
  const { accessToken, refreshToken, expiresIn, patient } = consent;
  const tokens = { accessToken, refreshToken, expiresIn, patient };
  const request: AuthorizationRequest = parseAuthorizationRequest({ ...requestOf(id, source), ...tokens });
  await createService(quiet()).accept({ request, actor: 'test' });
}

/** The same house with a queue that does nothing: what happens is what the test does. */
function quiet(): Context {
  return { ...house.context, queue: { ...house.context.queue, ...QUIET_QUEUE } };
}

async function run(id: string, context: Context = quiet()): Promise<void> {
  await refreshAndPull({ context, authorizationId: id, askedFor: true, signal });
}

/** Lets the stored access token be over, as it will be in an hour. */
async function makeDue(authorizationId: string): Promise<void> {
  const { store, vault } = house.context;
  const row = await store.tokens(authorizationId);
  const fence = await store.seizeLease({ authorizationId, owner: 'test', leaseMs: 1_000 });
  if (row === null) throw new Error(`no tokens of ${authorizationId}`);
  const key = await vault.open(authorizationId);
  const { version, accessLifetimeMs, refreshExpiresAt, doubtAt } = row;
  const facts = {
    version: version + 1,
    accessLifetimeMs,
    refreshExpiresAt,
    doubtAt,
    accessExpiresAt: house.context.clock.now(),
  };
  const tokens = sealTokens({ key, tokens: openTokens({ key, row }), ...facts });
  await store.commitTokens({ ...fence, expectedVersion: version, tokens, patch: {}, actor: 'test' });
  await store.releaseLease({ ...fence, owner: 'test' });
}

async function tokensOf(id: string) {
  const row = await house.context.store.tokens(id);
  if (row === null) throw new Error(`no tokens of ${id}`);
  return openTokens({ key: await house.context.vault.open(id), row });
}

const status = (id: string) => createService(quiet()).status(id);

async function recordsOf(id: string): Promise<readonly string[]> {
  const found: string[] = [];
  const { resources } = await createService(quiet()).records({ id, actor: 'test' });
  for await (const { bytes } of resources) {
    const { resourceType, id: resourceId } = JSON.parse(Buffer.from(bytes).toString());
    found.push(`${resourceType}/${resourceId}`);
  }
  return found.toSorted();
}

/** A broken lock: everybody gets the first one's lease. */
function withoutLease(context: Context): Context {
  let shared: ReturnType<Context['store']['takeLease']> | null = null;
  return {
    ...context,
    store: {
      ...context.store,
      takeLease: (lease) => {
        shared ??= context.store.takeLease(lease);
        return shared;
      },
      releaseLease: async () => undefined,
    },
  };
}

/** Nobody sends before so many want to: the race as it is at its worst. */
function together({ context, count }: { readonly context: Context; readonly count: number }): Context {
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  return withSource(context, (source) => ({
    ...source,
    refresh: async (request) => {
      waiting += 1;
      if (waiting >= count) gate.resolve();
      await gate.promise;
      return source.refresh(request);
    },
  }));
}

/** The server's answer comes, and is lost on its way to us. */
function losingReplies(context: Context): Context {
  let lost = 0;
  return withSource(context, (source) => ({
    ...source,
    refresh: async (request) => {
      const reply = await source.refresh(request);
      lost += 1;
      return lost === 1 ? { kind: 'no_reply', reason: 'connection', sent: true } : reply;
    },
  }));
}

function withSource(context: Context, change: (source: Source) => Source): Context {
  const get: Context['sources']['get'] = (name) => {
    const source = context.sources.get(name);
    return source === undefined ? undefined : change(source);
  };
  return { ...context, sources: { ...context.sources, get } };
}
