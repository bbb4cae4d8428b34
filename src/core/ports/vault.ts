import type { Head } from './notary.ts';

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
  /** 32 bytes for `info` by HKDF-SHA-256: the same from the same key, for ever. The caller wipes them. */
  readonly derive: (info: string) => Uint8Array;
  /** Names the key, base64url of 16 bytes, and reveals nothing of it. */
  readonly fingerprint: () => string;
};

/** `after` is the `next` of the page before, null at the beginning; `next` is null on the last page. */
export type KeyPage = { readonly after: string | null; readonly limit: number };

/** What became of one page of data keys; each is counted once. */
export type Rewrapped = {
  readonly next: string | null;
  /** The key-encryption key that is the current one. */
  readonly currentKeyId: string;
  readonly rewrapped: number;
  /** Wrapped by the current key before. */
  readonly current: number;
  /** Destroyed meanwhile. */
  readonly gone: number;
  /** Left as they are: none of our keys opens them. */
  readonly unreadable: number;
};

export type KeyCensus = {
  readonly next: string | null;
  readonly currentKeyId: string;
  /** How many each key-encryption key wraps, by its name; `held` is false for one that is not in our keyring. */
  readonly keys: readonly { readonly keyId: string; readonly held: boolean; readonly wraps: number }[];
  /** No wrap at all, or damaged. */
  readonly unreadable: number;
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
  /** Wraps one page of the data keys anew, by the current key-encryption key where they are not yet. Whatever is destroyed meanwhile stays so. */
  readonly rewrap: (page: KeyPage) => Promise<Rewrapped>;
  /** Which key-encryption keys wrap the data keys of one page. */
  readonly census: (page: KeyPage) => Promise<KeyCensus>;
  /** Gives up what destroyed and replaced keys left in the store's own files, as far as it can. */
  readonly reclaim: () => Promise<void>;
  /** The chain heads that were noted here, apart from the database: what a chain held once, it holds for ever. */
  readonly anchors: () => Promise<readonly Head[]>;
  /** Notes heads, durably. An earlier head never takes the place of a later one, whoever writes at the same time. */
  readonly anchor: (heads: readonly Head[]) => Promise<void>;
  readonly ping: () => Promise<void>;
  readonly close: () => Promise<void>;
};
