/** Proof of holding an authorization: every write names it and loses once the fence has moved on. */
export type Fence = { readonly authorizationId: string; readonly fence: number };

export type CommitResult = 'committed' | 'superseded';
