import type { Endpoint } from './directory.ts';
import { seedDirectory } from './directory.ts';
import type { Signer } from './jwt.ts';
import { createSigner } from './jwt.ts';
import type { KnobStore, Knobs } from './knobs.ts';
import { createKnobStore } from './knobs.ts';
import type { Patient } from './patients.ts';
import type { Webhooks } from './webhooks.ts';

export type Usage = 'ONE_TIME' | 'MULTIPLE';

/** An access token that was handed out; `supersededAtMs` says when a refresh took its place. */
export type AccessGrant = {
  readonly token: string;
  readonly authorizationId: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  supersededAtMs: number | null;
};

/** A refresh token that was handed out; `spentAtMs` and `successor` belong together. */
export type RefreshGrant = {
  readonly token: string;
  readonly authorizationId: string;
  /** Infinity when it never expires. */
  expiresAtMs: number;
  spentAtMs: number | null;
  successor: Pair | null;
};

export type Pair = { readonly access: AccessGrant; readonly refresh: RefreshGrant | null };

/** What happened to one authorization; only ever counted up. */
export type Tally = {
  exchanges: number;
  refreshes: number;
  reusedRefreshTokens: number;
  refusedRefreshTokens: number;
  lostReplies: number;
  fhirRequests: number;
  transientAnswers: number;
  throttledAnswers: number;
  revocations: number;
  expunges: number;
  requestsAfterRevoke: number;
};

/** One patient's permission at one endpoint, with every token that came out of it. All times are domain time. */
export type Authorization = {
  readonly id: string;
  readonly consentId: string;
  readonly usage: Usage;
  readonly endpoint: Endpoint;
  readonly patient: Patient;
  readonly externalId: string | null;
  readonly authorizedAtMs: number;
  readonly publicToken: string;
  exchangedAtMs: number | null;
  revokedAtMs: number | null;
  expunged: boolean;
  access: AccessGrant[];
  refresh: RefreshGrant[];
  refreshTokensMinted: number;
  readonly tally: Tally;
};

type PublicGrant = { readonly authorizationId: string; readonly expiresAtMs: number; used: boolean };
export type ThrottleWindow = { startMs: number; used: number };

/** All that one running sandbox knows. */
export type Sandbox = {
  readonly seed: number;
  /** The instant of the request in hand: it stands still while one request is answered, so that its numbers agree. */
  readonly now: () => number;
  /** Moves `now` on to the clock. */
  readonly tick: () => void;
  /** `http://host:port`, known once the server listens. */
  baseUrl: string;
  readonly publishableKey: string;
  readonly secretKey: string;
  readonly signer: Signer;
  readonly webhooks: Webhooks;
  readonly knobs: KnobStore;
  readonly directory: readonly Endpoint[];
  readonly authorizations: Map<string, Authorization>;
  readonly patients: Map<string, Patient>;
  readonly publicTokens: Map<string, PublicGrant>;
  readonly accessTokens: Map<string, AccessGrant>;
  readonly refreshTokens: Map<string, RefreshGrant>;
  /** Application access tokens and when each expires. */
  readonly applicationTokens: Map<string, number>;
  readonly throttles: Map<string, ThrottleWindow>;
  requests: number;
};

/** A sandbox without patients. `now` is domain time and is cut to whole milliseconds. */
export function createState(options: {
  seed: number;
  now: () => number;
  publishableKey: string;
  secretKey: string;
  knobs: Partial<Knobs>;
  webhooks: Webhooks;
}): Sandbox {
  let instantMs = Math.floor(options.now());
  return {
    seed: options.seed,
    now: () => instantMs,
    tick: () => {
      instantMs = Math.floor(options.now());
    },
    baseUrl: '',
    publishableKey: options.publishableKey,
    secretKey: options.secretKey,
    signer: createSigner(options.seed),
    webhooks: options.webhooks,
    knobs: createKnobStore(options.knobs),
    directory: seedDirectory(options.seed),
    authorizations: new Map(),
    patients: new Map(),
    publicTokens: new Map(),
    accessTokens: new Map(),
    refreshTokens: new Map(),
    applicationTokens: new Map(),
    throttles: new Map(),
    requests: 0,
  };
}

/** The knobs in force for one authorization, or the global ones. */
export function knobsOf(sandbox: Sandbox, authorization?: Authorization): Knobs {
  return sandbox.knobs.resolve(authorization && scopeOf(authorization));
}

/** Where an authorization's knob overrides are looked up. */
export function scopeOf(authorization: Authorization): { endpointId: string; authorizationId: string } {
  return { endpointId: authorization.endpoint.id, authorizationId: authorization.id };
}
