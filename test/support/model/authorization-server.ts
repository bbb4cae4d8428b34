/**
 * How a server treats a refresh token that comes again: it does not rotate; it rotates and gives the same successor again for a while; it gives another
 * successor each time for a while; or it takes any second use for theft. The policies A to D of the promises.
 */
export type Policy = 'non_rotating' | 'same_pair' | 'new_pair' | 'strict';
export const POLICIES: readonly Policy[] = ['non_rotating', 'same_pair', 'new_pair', 'strict'];

/** From the server's rotation on; the smallest that is common in the field. */
export const GRACE_MS = 30_000;

export type GrantTerms = {
  readonly policy: Policy;
  readonly accessLifetimeMs: number;
  /** Unused for this long a refresh token dies; null where it does not. */
  readonly idleMs: number | null;
  /** A refresh token ends this long after it was given, used or not; null where it does not. */
  readonly refreshLifetimeMs: number | null;
  /** The whole authorization ends then; null where it does not. */
  readonly endsAt: number | null;
};

type Pair = { readonly access: string; readonly refresh: string };
type Node = {
  readonly token: string;
  parent: Node | null;
  readonly issuedAt: number;
  usedAt: number;
  supersededAt: number | null;
  child: Pair | null;
  childUsed: boolean;
};
type Grant = {
  readonly id: string;
  readonly terms: GrantTerms;
  readonly nodes: Map<string, Node>;
  access: { readonly token: string; readonly expiresAt: number }[];
  revoked: boolean;
};

export type Refusal = 'unknown' | 'revoked' | 'reused' | 'idle' | 'ended';
export type Verdict =
  | { readonly kind: 'granted'; readonly pair: Pair; readonly terms: GrantTerms; readonly again: boolean }
  | { readonly kind: 'refused'; readonly why: Refusal };

/** An authorization server: tokens, rotation, theft detection and ends, on its own clock. */
export type AuthorizationServer = {
  readonly grant: (value: { readonly id: string; readonly terms: GrantTerms; readonly now: number }) => Pair;
  readonly refresh: (value: { readonly token: string; readonly now: number }) => Verdict;
  readonly accepts: (value: { readonly access: string; readonly now: number }) => boolean;
  /** Whether a refresh token is the newest of its line and its grant stands. */
  readonly lives: (token: string) => boolean;
  /** Whose token it is. */
  readonly ownerOf: (token: string) => string | null;
};

export function createAuthorizationServer(): AuthorizationServer {
  const owners = new Map<string, Grant>();
  let made = 0;
  const issue = ({
    grant,
    parent,
    now,
  }: {
    readonly grant: Grant;
    readonly parent: Node | null;
    readonly now: number;
  }) => {
    made += 1;
    const pair = { access: `access-${made}`, refresh: `refresh-${made}` };
    const node = { token: pair.refresh, parent, issuedAt: now, usedAt: now, supersededAt: null, child: null };
    grant.nodes.set(pair.refresh, { ...node, childUsed: false });
    give({ grant, access: pair.access, now, owners });
    owners.set(pair.refresh, grant);
    return pair;
  };
  return {
    grant: ({ id, terms, now }) => {
      const grant: Grant = { id, terms, nodes: new Map(), access: [], revoked: false };
      return issue({ grant, parent: null, now });
    },
    refresh: ({ token, now }) => {
      const grant = owners.get(token);
      const node = grant?.nodes.get(token);
      if (grant === undefined || node === undefined) return { kind: 'refused', why: 'unknown' };
      const refusal = refusalOf({ grant, node, now });
      if (refusal !== null) return { kind: 'refused', why: refusal };
      const { terms } = grant;
      const again = node.supersededAt !== null;
      node.usedAt = now;
      if (node.parent !== null) node.parent.childUsed = true;
      if (terms.policy === 'non_rotating') {
        made += 1;
        give({ grant, access: `access-${made}`, now, owners });
        return { kind: 'granted', terms, again: false, pair: { access: `access-${made}`, refresh: token } };
      }
      node.supersededAt ??= now;
      const pair =
        again && terms.policy === 'same_pair' && node.child !== null ? node.child : issue({ grant, parent: node, now });
      node.child = pair;
      forget({ grant, node, owners });
      return { kind: 'granted', terms, again, pair };
    },
    accepts: ({ access, now }) => {
      const grant = owners.get(access);
      if (grant === undefined || grant.revoked) return false;
      return grant.access.some(({ token, expiresAt }) => token === access && now < expiresAt);
    },
    lives: (token) => {
      const grant = owners.get(token);
      return grant?.revoked === false && grant.nodes.get(token)?.supersededAt === null;
    },
    ownerOf: (token) => owners.get(token)?.id ?? null,
  };
}

function give({
  grant,
  access,
  now,
  owners,
}: {
  readonly grant: Grant;
  readonly access: string;
  readonly now: number;
  readonly owners: Map<string, Grant>;
}): void {
  for (const { token, expiresAt } of grant.access) if (expiresAt <= now) owners.delete(token);
  grant.access = grant.access.filter(({ expiresAt }) => expiresAt > now);
  grant.access.push({ token: access, expiresAt: now + grant.terms.accessLifetimeMs });
  owners.set(access, grant);
}

/** Why a refresh token is not taken; a reuse that is no repetition within the grace revokes all that the grant has. */
function refusalOf({
  grant,
  node,
  now,
}: {
  readonly grant: Grant;
  readonly node: Node;
  readonly now: number;
}): Refusal | null {
  const { terms } = grant;
  if (grant.revoked) return 'revoked';
  if (terms.endsAt !== null && now >= terms.endsAt) return 'ended';
  if (terms.refreshLifetimeMs !== null && now >= node.issuedAt + terms.refreshLifetimeMs) return 'ended';
  if (terms.idleMs !== null && now >= node.usedAt + terms.idleMs) return 'idle';
  if (node.supersededAt === null) return null;
  const inGrace = terms.policy !== 'strict' && now <= node.supersededAt + GRACE_MS && !node.childUsed;
  if (inGrace) return null;
  grant.revoked = true;
  return 'reused';
}

/** A long life leaves thousands of tokens behind; what is older than three generations is not asked for any more. */
function forget({
  grant,
  node,
  owners,
}: {
  readonly grant: Grant;
  readonly node: Node;
  readonly owners: Map<string, Grant>;
}): void {
  const oldest = node.parent?.parent ?? null;
  const old = oldest?.parent ?? null;
  if (oldest === null || old === null) return;
  oldest.parent = null;
  grant.nodes.delete(old.token);
  owners.delete(old.token);
}
