import type { AuthorizationRequest } from '../contract/wire.ts';
import { type Authorization, isReadable } from '../core/authorization.ts';
import { PerennialError } from '../core/errors.ts';
import { LIMITS, UNITS } from '../core/limits.ts';
import { choosePhase, phaseBucketOf, phaseCandidates } from '../core/phase.ts';
import type { DataKey } from '../core/ports/vault.ts';
import { Secret } from '../core/secret.ts';
import type { Context } from './context.ts';
import { type Draft, draftOf } from './draft.ts';
import { reauthorize } from './reauthorize.ts';
import { enqueueJobs } from './schedule.ts';
import { sealTokens } from './token-vault.ts';

/** `created` is false only for a repetition of what was accepted before. */
type Accepted = { readonly authorization: Authorization; readonly created: boolean };

/**
 * Accepts one authorization, whichever door it comes through. Idempotent on the caller's id: the same request again finds the first one,
 * a new consent takes the place of a dead one, any other content under the same id is refused. Everything is in the store before anything is in the queue, the purge deadline included.
 */
export async function accept({
  context,
  request,
  actor,
}: {
  readonly context: Context;
  readonly request: AuthorizationRequest;
  readonly actor: string;
}): Promise<Accepted> {
  const { store, vault, sources, log } = context;
  const source = sources.get(request.source);
  if (source === undefined) throw new PerennialError('unknown_source', { field: 'source' });
  if (request.publicToken !== undefined && source.exchange === null) {
    throw new PerennialError('public_token_unsupported', { field: 'publicToken' });
  }
  const known = await store.get(request.id);
  if (known !== null) return again({ context, known, request, actor });
  const draft = await placed({
    context,
    draft: draftOf({ context, request: await withLifetime({ context, request }), actor }),
  });
  const key = await vault.create(request.id);
  const inserted = await store.insert({
    authorization: draft.authorization,
    fingerprint: fingerprintOf({ key, request }),
    keyFingerprint: key.fingerprint(),
    tokens: sealTokens({ key, ...draft.tokens }),
    actor,
  });
  if (inserted === 'exists') {
    const winner = await store.get(request.id);
    if (winner === null) throw new PerennialError('internal');
    // It was purged between our first look and the key that we have just made: no key may come after the receipt.
    if (winner.state === 'purging' || winner.state === 'purged') await vault.destroy(request.id);
    return again({ context, known: winner, request, actor });
  }
  const { authorization } = draft;
  log.info('accepted', {
    authorizationId: authorization.id,
    source: authorization.source,
    network: authorization.network,
    reason: authorization.usageReason,
    state: authorization.state,
  });
  await enqueueJobs({ context, authorization, reason: 'accepted' });
  return { authorization, created: true };
}

/** Gives a standing authorization its place in the period: of its two hashed ones the emptier. */
async function placed({ context, draft }: { readonly context: Context; readonly draft: Draft }): Promise<Draft> {
  const { id, network, usage } = draft.authorization;
  if (usage !== 'MULTIPLE') return draft;
  const candidates = phaseCandidates(id);
  const loads = await context.store.phaseLoads({ network, buckets: candidates.map(phaseBucketOf) });
  return { ...draft, authorization: { ...draft.authorization, phase: choosePhase({ candidates, loads }) } };
}

/** Where the caller does not say how long an access token lives, the source is asked; a token that has ended is refused here. */
async function withLifetime({
  context: { sources, clock },
  request,
}: {
  readonly context: Context;
  readonly request: AuthorizationRequest;
}): Promise<AuthorizationRequest> {
  const source = sources.get(request.source);
  if (request.accessToken === undefined || request.expiresIn !== undefined || source === undefined) return request;
  const signal = AbortSignal.timeout(LIMITS.introspectionTimeoutMs);
  const token = new Secret(request.accessToken);
  const told = await source.introspect({ token, of: 'access_token', signal });
  if (told.kind === 'inactive') throw new PerennialError('token_expired', { field: 'accessToken' });
  if (told.kind === 'unknown' || told.expiresAt === null) return request;
  const now = clock.now();
  const { issuedAt: _, ...rest } = request;
  return { ...rest, expiresIn: (told.expiresAt - now) / UNITS.SECOND_MS };
}

/** A request under a known id: a repetition of one accepted before, a new consent, or a conflict. */
async function again({
  context,
  known,
  request,
  actor,
}: {
  readonly context: Context;
  readonly known: Authorization;
  readonly request: AuthorizationRequest;
  readonly actor: string;
}): Promise<Accepted> {
  const { store, vault, clock } = context;
  if (!isReadable(known, clock.now())) throw new PerennialError('authorization_purged', { field: 'id' });
  const key = await vault.open(known.id);
  const fingerprint = fingerprintOf({ key, request });
  const { current, earlier } = await store.fingerprintsOf(known.id);
  // An old request that comes in late must not bring back the tokens of an earlier consent.
  if (fingerprint === current || earlier.includes(fingerprint)) return { authorization: known, created: false };
  const lived = await withLifetime({ context, request });
  const authorization = await reauthorize({ context, known, request: lived, key, fingerprint, actor });
  return { authorization, created: true };
}

/** A keyed hash of the whole request, fields in a fixed order: without the key it does not tell whose tokens these are. */
function fingerprintOf({ key, request }: { readonly key: DataKey; readonly request: AuthorizationRequest }): string {
  return key.mac({ purpose: 'request', bytes: JSON.stringify(sorted(request)) });
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return entries.sort(([left], [right]) => (left < right ? -1 : 1)).map(([name, inner]) => [name, sorted(inner)]);
}
