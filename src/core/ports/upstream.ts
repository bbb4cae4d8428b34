import type { Secret } from '../secret.ts';
import type { TokenReply } from '../token-outcome.ts';

/** One page of FHIR as it came over the wire, or why there is none. */
export type PageReply =
  | { readonly kind: 'page'; readonly bytes: Uint8Array }
  | { readonly kind: 'token_rejected' }
  | { readonly kind: 'grant_not_found' }
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
        | 'unexpected';
    };

export type Introspection =
  | { readonly kind: 'active'; readonly expiresAt: number | null }
  | { readonly kind: 'inactive' }
  | { readonly kind: 'unknown' };

export type CallOptions = { readonly signal: AbortSignal };

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
  /** Whether a purge also revokes the authorization upstream when the caller deletes it. */
  readonly revokeOnPurge: boolean;
  /** Spends a single-use public token. Never rejects: whatever happens is a reply. */
  readonly exchange: (request: { readonly publicToken: Secret } & CallOptions) => Promise<TokenReply>;
  /** Spends a refresh token, with one POST and no retry of its own. Never rejects. */
  readonly refresh: (request: { readonly refreshToken: Secret } & CallOptions) => Promise<TokenReply>;
  /** Fetches one page. `url` was judged by core/link before. Never rejects. */
  readonly fetchPage: (
    request: { readonly url: string; readonly accessToken: Secret } & CallOptions,
  ) => Promise<PageReply>;
  readonly introspect: (request: { readonly accessToken: Secret } & CallOptions) => Promise<Introspection>;
  /** Best effort; says whether the source confirmed. */
  readonly revoke: (request: { readonly accessToken: Secret } & CallOptions) => Promise<'revoked' | 'unconfirmed'>;
};

export type Sources = {
  readonly get: (name: string) => Source | undefined;
  readonly names: () => readonly string[];
  readonly close: () => Promise<void>;
};
