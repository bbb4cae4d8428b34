/** Proof of holding an authorization: every write names it and loses once the fence has moved on. */
export type Fence = { readonly authorizationId: string; readonly fence: number };

/** A lease just taken. `crashes` counts the holders in a row before this one that never gave it back: their process died, or stood still for longer than a lease. */
export type Taken = Fence & { readonly crashes: number };

export type CommitResult = 'committed' | 'superseded';
