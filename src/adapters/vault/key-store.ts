import type { KeyPage, Vault } from '../../core/ports/vault.ts';

/** Where wrapped data keys are kept: the part of a vault that differs. */
export type KeyStore = Pick<Vault, 'destroy' | 'has' | 'reclaim' | 'anchors' | 'anchor' | 'ping' | 'close'> & {
  /** Keeps `wrapped` unless there is one already; durable when it resolves. */
  readonly keep: (value: { readonly authorizationId: string; readonly wrapped: Uint8Array }) => Promise<void>;
  readonly find: (authorizationId: string) => Promise<Uint8Array | null>;
  /** All that is kept, page by page: `next` is the `after` of the next page, null on the last. */
  readonly list: (page: KeyPage) => Promise<{ readonly kept: readonly KeptKey[]; readonly next: string | null }>;
  /**
   * Puts `wrapped` in the place of `expected`. It never makes a key that is not there: one that is destroyed meanwhile stays so (`gone`). Durable, and
   * nothing of the former wrap is left in place, when it resolves to `replaced`; `changed` is another wrap than the expected one.
   */
  readonly replace: (value: {
    readonly authorizationId: string;
    readonly expected: Uint8Array;
    readonly wrapped: Uint8Array;
  }) => Promise<'replaced' | 'changed' | 'gone'>;
};

export type KeptKey = {
  /** Null where the store does not know whose it is: a file of a former version that nobody has opened since. */
  readonly authorizationId: string | null;
  readonly wrapped: Uint8Array;
  /** A replacement broke off and left something of the former wrap: one more replacement clears it away. */
  readonly unfinished: boolean;
};
