import type { Abilities } from '../pull-state.ts';
import type { Secret } from '../secret.ts';
import type { TokenReply } from '../token-outcome.ts';

/** Why there is no page. */
export type PageRefused =
  | { readonly kind: 'token_rejected' }
  /** 404 or 410: this type, this patient or the whole grant is not there; which of them, only a second look tells. */
  | { readonly kind: 'not_found' }
  | { readonly kind: 'type_refused' }
  | { readonly kind: 'syncing' | 'throttled'; readonly retryAfterMs: number | null }
  | { readonly kind: 'sync_failed' }
  | {
      readonly kind: 'unavailable';
      readonly reason:
        | 'timeout'
        | 'connection'
        | 'cut_short'
        | 'server_error'
        | 'too_large'
        | 'cancelled'
        | 'redirect'
        | 'unexpected'
        /** The source's name leads to an address that its registration may not reach. */
        | 'address_refused';
    };

/** One page as it arrives, or why there is none. */
export type PageStream =
  | {
      readonly kind: 'page';
      readonly status: number;
      /**
       * The decompressed body, to be read once; it comes no faster than it is read. Only a body read to its end without an error is a page. Rejects with
       * `upstream_cut_short`, `upstream_timeout`, `upstream_too_large` or `cancelled`. Leaving early closes the connection.
       */
      readonly chunks: AsyncIterable<Uint8Array>;
      /** For who does not read `chunks` at all, or from elsewhere; after the end it does nothing. */
      readonly cancel: () => void;
    }
  | PageRefused;

export type Introspection =
  | { readonly kind: 'active'; readonly expiresAt: number | null }
  | { readonly kind: 'inactive' }
  | { readonly kind: 'unknown' };

/** A webhook's request as it came in. */
export type HookDelivery = {
  readonly signature: string | null;
  readonly body: Uint8Array;
  /** Milliseconds on the wall, on which signatures are dated. */
  readonly wallNow: number;
};

export const HOOK_EVENTS = [
  'sync_completed',
  'sync_failed',
  'refresh_expired',
  'endpoint_status_changed',
  'unknown',
] as const;

/** What a source said, of what it takes to act on it. `refs` and `ids` are all that it may mean by the authorization: hashes of its own ids, and what may be ours. */
export type HookEvent = {
  readonly eventId: string;
  readonly kind: (typeof HOOK_EVENTS)[number];
  readonly refs: readonly string[];
  readonly id: string | null;
  readonly endpointId: string | null;
  readonly status: string | null;
};

export type HookReading =
  | { readonly kind: 'event'; readonly event: HookEvent }
  | { readonly kind: 'refused'; readonly reason: 'unsigned' | 'wrong_signature' | 'stale' | 'malformed' };

export type TokenKind = 'access_token' | 'refresh_token';

export type CallOptions = { readonly signal: AbortSignal };

export type SpendOptions = CallOptions & {
  /**
   * Asked at the last moment before the token is put on the wire, after the connection stands. With false nothing is sent: a process that was frozen
   * while it connected may have lost its lease to somebody who has spent the token since.
   */
  readonly mayStillSend: () => boolean;
};

/** One configured upstream registration (base URL, client, authentication): what the flows ask of it. */
export type Source = {
  readonly name: string;
  /** The registered FHIR base URL; our token goes nowhere else. */
  readonly fhirBaseUrl: string;
  /** How records are asked for: everything in one go, or each type by search. */
  readonly pullBy: 'everything' | 'search';
  readonly resourceTypes: readonly string[];
  /** The query of a search, without `?`; `$PATIENT_ID` in it stands for the patient's id. */
  readonly searchQuery: string;
  /** The same for the patient's own resource, which servers search by `_id`. */
  readonly patientQuery: string;
  /** Whether changes alone are asked for where the source can tell them (`_lastUpdated`). */
  readonly incremental: boolean;
  /** How often everything is read from its beginning all the same: only that sees removals, and edits that bear an old date. */
  readonly reconcileEveryMs: number;
  /** What the source's searches can do; null where it does not say. Carries no token. Never rejects. */
  readonly abilities: (request: CallOptions) => Promise<Abilities | null>;
  /** Whether a purge also revokes the authorization upstream when the caller deletes it. */
  readonly revokeOnPurge: boolean;
  /** After this time a dead authorization's data is purged; null keeps it until somebody asks. */
  readonly purgeDeadAfterMs: number | null;
  /** How long a refresh token lives where the reply does not say; null when nobody knows. */
  readonly assumedRefreshLifetimeMs: number | null;
  /** What the source calls the authorization that an access token belongs to, as a hash that its webhooks lead to; null where tokens do not say. */
  readonly refOfToken: (accessToken: Secret) => string | null;
  /** Judges what the source sends to us unasked; null where it sends nothing, or signs with nothing that we know. */
  readonly readHook: ((delivery: HookDelivery) => HookReading) | null;
  /** Spends a single-use public token. Never rejects: whatever happens is a reply. Null where a source has no public tokens. */
  readonly exchange: ((request: { readonly publicToken: Secret } & SpendOptions) => Promise<TokenReply>) | null;
  /** Spends a refresh token, with one POST and no retry of its own. Never rejects. */
  readonly refresh: (request: { readonly refreshToken: Secret } & SpendOptions) => Promise<TokenReply>;
  /** Asks for one page and gives it as it arrives. `url` was judged by core/link before. Never rejects; reading the page may. */
  readonly streamPage: (
    request: { readonly url: string; readonly accessToken: Secret } & CallOptions,
  ) => Promise<PageStream>;
  /** Asks the source about a token. `unknown` where it does not answer, or cannot be asked about tokens of this kind. Never rejects. */
  readonly introspect: (
    request: { readonly token: Secret; readonly of: TokenKind } & CallOptions,
  ) => Promise<Introspection>;
  /** Best effort; says whether the source confirmed. */
  readonly revoke: (
    request: { readonly accessToken: Secret | null; readonly refreshToken: Secret | null } & CallOptions,
  ) => Promise<'revoked' | 'unconfirmed'>;
  /** Has the source delete what it holds of the patient for us. Best effort; null where the source cannot. */
  readonly expunge:
    | ((
        request: { readonly accessToken: Secret; readonly patient: Secret } & CallOptions,
      ) => Promise<'expunged' | 'unconfirmed'>)
    | null;
};

export type Sources = {
  readonly get: (name: string) => Source | undefined;
  readonly names: () => readonly string[];
  readonly close: () => Promise<void>;
};
