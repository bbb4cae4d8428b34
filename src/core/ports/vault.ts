/** What a sealed value is for; part of its associated data, so that it opens in no other place. */
export type SealPurpose = 'tokens' | 'pack' | 'manifest' | 'changes' | 'journal';

/** One authorization's data key, opened for use. It never leaves the vault as bytes. */
export type DataKey = {
  /** AES-256-GCM; bound to the authorization, the purpose and `context` (a version or a place). */
  readonly seal: (value: {
    readonly purpose: SealPurpose;
    readonly context: string;
    readonly bytes: Uint8Array;
  }) => Uint8Array;
  /** @throws PerennialError `unseal_failed` when the key, the binding or a byte differs. */
  readonly unseal: (value: {
    readonly purpose: SealPurpose;
    readonly context: string;
    readonly sealed: Uint8Array;
  }) => Uint8Array;
  /** A keyed hash, base64url of 16 bytes; it says nothing once the key is gone. */
  readonly mac: (value: { readonly purpose: string; readonly bytes: Uint8Array | string }) => string;
};

/** Keeps one data key per authorization apart from the database (design, section 9). */
export type Vault = {
  /** Makes the key, or opens the one that is there: two accepts of one id must not end with two keys. */
  readonly create: (authorizationId: string) => Promise<DataKey>;
  /** @throws PerennialError `key_missing` when there is none (never made, or destroyed). */
  readonly open: (authorizationId: string) => Promise<DataKey>;
  /** Destroys the key for good; a second call finds nothing to do. Resolves when the destruction is durable. */
  readonly destroy: (authorizationId: string) => Promise<void>;
  readonly has: (authorizationId: string) => Promise<boolean>;
  readonly ping: () => Promise<void>;
  readonly close: () => Promise<void>;
};
