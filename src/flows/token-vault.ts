import type { Instant } from '../core/clock.ts';
import { PerennialError } from '../core/errors.ts';
import type { SealedTokens } from '../core/ports/store.ts';
import type { DataKey } from '../core/ports/vault.ts';
import { Secret } from '../core/secret.ts';
import type { RefreshEnd, TokenGrant } from '../core/token-outcome.ts';

/** An authorization's tokens, and whose they are, in the clear for as long as one flow needs them. */
export type OpenTokens = {
  readonly accessToken: Secret | null;
  readonly refreshToken: Secret | null;
  readonly publicToken: Secret | null;
  /** The patient's reference, which is health data and so lies under the same seal. */
  readonly patient: Secret | null;
};

/** Seals tokens under their version: an older pair moved into a newer row does not open. */
export function sealTokens({
  key,
  tokens,
  ...facts
}: Omit<SealedTokens, 'sealed' | 'hasRefreshToken'> & {
  readonly key: DataKey;
  readonly tokens: OpenTokens;
}): SealedTokens {
  const { accessToken, refreshToken, publicToken, patient } = tokens;
  const text = JSON.stringify({
    accessToken: textOf(accessToken),
    refreshToken: textOf(refreshToken),
    publicToken: textOf(publicToken),
    patient: textOf(patient),
  });
  const sealed = key.seal({
    purpose: 'tokens',
    context: contextOf(facts.version),
    bytes: Buffer.from(text, 'utf8'),
  });
  return { ...facts, hasRefreshToken: tokens.refreshToken !== null, sealed };
}

function textOf(secret: Secret | null): string | null {
  return secret === null ? null : secret.reveal();
}

/** @throws PerennialError `unseal_failed` when the row was altered or belongs elsewhere. */
export function openTokens({ key, row }: { readonly key: DataKey; readonly row: SealedTokens }): OpenTokens {
  const bytes = key.unseal({ purpose: 'tokens', context: contextOf(row.version), sealed: row.sealed });
  const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes));
  if (typeof parsed !== 'object' || parsed === null) throw new PerennialError('unseal_failed');
  const values = new Map<string, unknown>(Object.entries(parsed));
  const secretAt = (field: string): Secret | null => {
    const value = values.get(field);
    return typeof value === 'string' ? new Secret(value) : null;
  };
  return {
    accessToken: secretAt('accessToken'),
    refreshToken: secretAt('refreshToken'),
    publicToken: secretAt('publicToken'),
    patient: secretAt('patient'),
  };
}

/** The sealed row that follows a grant: the next version, and the old refresh token where the reply names no new one (RFC 6749, section 6). */
export function sealGrant({
  key,
  grant,
  previous,
  before,
  keepRefreshToken,
  sentAt,
  doubtAt,
}: {
  readonly key: DataKey;
  readonly grant: TokenGrant;
  readonly previous: SealedTokens;
  /** What is in `previous`. */
  readonly before: OpenTokens;
  /** False for ONE_TIME: what may be used once only is not kept at all. */
  readonly keepRefreshToken: boolean;
  readonly sentAt: Instant;
  readonly doubtAt: Instant | null;
}): SealedTokens {
  const refreshToken = keepRefreshToken ? (grant.refreshToken ?? before.refreshToken) : null;
  const patient = before.patient ?? (grant.patient === null ? null : new Secret(grant.patient));
  const kept = grant.refreshToken === null && grant.refreshEnd.kind === 'unknown';
  return sealTokens({
    key,
    tokens: { accessToken: grant.accessToken, refreshToken, publicToken: null, patient },
    version: previous.version + 1,
    accessExpiresAt: sentAt + grant.accessLifetimeMs,
    accessLifetimeMs: grant.accessLifetimeMs,
    doubtAt,
    refreshExpiresAt: kept ? previous.refreshExpiresAt : refreshExpiry(grant.refreshEnd, sentAt),
  });
}

/** The instant a refresh token ends, or null when it never does or nobody said. */
export function refreshExpiry(end: RefreshEnd, from: Instant): Instant | null {
  return end.kind === 'after' ? from + end.lifetimeMs : null;
}

function contextOf(version: number): string {
  return `v${version}`;
}
