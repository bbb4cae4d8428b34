import { UNITS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Source, TokenKind } from '../../core/ports/upstream.ts';
import type { Secret } from '../../core/secret.ts';
import { createAbilities } from './abilities.ts';
import { clientAuthOf } from './client-auth.ts';
import { createDiscovery, type Discovered } from './discovery.ts';
import type { Http } from './http.ts';
import { readIntrospection } from './introspection-reply.ts';
import { createOAuthClient } from './oauth-client.ts';
import { createPages } from './pages.ts';
import { assumedRefreshLifetimeMs, purgeDeadAfterMs, type SmartSourceConfig } from './source-config.ts';
import { readTokenReply } from './token-reply.ts';

/** A registration at a SMART on FHIR server: standard OAuth at discovered endpoints. Authorizations come to us with their tokens; there is no exchange. */
export function createSmartSource({
  name,
  config,
  http,
  clock,
}: {
  readonly name: string;
  readonly config: SmartSourceConfig;
  readonly http: { readonly tokens: Http; readonly pages: Http };
  readonly clock: Clock;
}): Source {
  const fhirBaseUrl = config.fhirBaseUrl.replace(/\/$/, '');
  const endpoints = createEndpoints({ config, fhirBaseUrl, http: http.tokens, clock });
  const oauth = createOAuthClient({
    clientId: config.clientId,
    clientAuthAt: clientAuthOf(config.auth),
    http: http.tokens,
  });
  return {
    name,
    fhirBaseUrl,
    pullBy: config.pullBy,
    resourceTypes: config.resourceTypes,
    searchQuery: config.searchQuery,
    patientQuery: config.patientQuery,
    revokeOnPurge: config.revokeOnPurge,
    purgeDeadAfterMs: purgeDeadAfterMs(config),
    incremental: config.incremental,
    reconcileEveryMs: config.reconcileEveryDays * UNITS.DAY_MS,
    abilities: createAbilities({ http: http.pages, fhirBaseUrl: config.fhirBaseUrl }),
    assumedRefreshLifetimeMs: assumedRefreshLifetimeMs(config),
    refOfToken: () => null,
    readHook: null,
    exchange: null,
    refresh: async ({ refreshToken, signal, mayStillSend }) => {
      const at = await endpoints.token({ signal });
      if (at.kind === 'unavailable') return { kind: 'no_reply', reason: at.reason, sent: false };
      const reply = await oauth.refresh({ tokenUrl: at.url, token: refreshToken, signal, mayStillSend });
      return readTokenReply({ http: reply, now: clock.now() });
    },
    ...createPages({ http: http.pages, clock }),
    introspect: async ({ token, of, signal }) => {
      const at = await endpoints.other({ which: 'introspect', signal });
      return at === null
        ? { kind: 'unknown' }
        : readIntrospection(await oauth.introspect({ ...at, token, of, signal }));
    },
    revoke: async ({ accessToken, refreshToken, signal }) => {
      const ended = tokenToEnd({ accessToken, refreshToken });
      const at = ended === null ? null : await endpoints.other({ which: 'revoke', signal });
      if (ended === null || at === null) return 'unconfirmed';
      const reply = await oauth.revoke({ ...at, ...ended, signal });
      return reply.kind === 'reply' && reply.status >= 200 && reply.status < 300 ? 'revoked' : 'unconfirmed';
    },
    // Neither SMART nor FHIR has such a request for clients.
    expunge: null,
  };
}

/** The refresh token where there is one: a server that ends it ends its access tokens too (RFC 7009, 2.1), the other way round it need not. */
function tokenToEnd({
  accessToken,
  refreshToken,
}: {
  readonly accessToken: Secret | null;
  readonly refreshToken: Secret | null;
}): { readonly token: Secret; readonly of: TokenKind } | null {
  if (refreshToken !== null) return { token: refreshToken, of: 'refresh_token' };
  return accessToken === null ? null : { token: accessToken, of: 'access_token' };
}

type Asked = { readonly signal: AbortSignal };
type Endpoints = {
  readonly token: (
    asked: Asked,
  ) => Promise<
    { readonly kind: 'known'; readonly url: string } | Extract<Discovered, { readonly kind: 'unavailable' }>
  >;
  /** Null where the server has none, or cannot be asked for it. */
  readonly other: (
    asked: Asked & { readonly which: 'introspect' | 'revoke' },
  ) => Promise<{ readonly url: string; readonly tokenUrl: string } | null>;
};

/** The settings' URLs go before the discovered ones, and where they are enough nothing is asked. */
function createEndpoints({
  config,
  fhirBaseUrl,
  http,
  clock,
}: {
  readonly config: SmartSourceConfig;
  readonly fhirBaseUrl: string;
  readonly http: Http;
  readonly clock: Clock;
}): Endpoints {
  const discover = createDiscovery({ fhirBaseUrl, http, now: clock.now });
  const configured = { introspect: config.introspectUrl ?? null, revoke: config.revokeUrl ?? null };
  const tokenUrl = config.tokenUrl ?? null;
  return {
    token: async (asked) => {
      if (tokenUrl !== null) return { kind: 'known', url: tokenUrl };
      const discovered = await discover(asked);
      return discovered.kind === 'known' ? { kind: 'known', url: discovered.endpoints.token } : discovered;
    },
    other: async ({ which, signal }) => {
      const own = configured[which];
      if (own !== null && tokenUrl !== null) return { url: own, tokenUrl };
      const discovered = await discover({ signal });
      const found = discovered.kind === 'known' ? discovered.endpoints : null;
      const url = own ?? found?.[which] ?? null;
      return url === null ? null : { url, tokenUrl: tokenUrl ?? found?.token ?? url };
    },
  };
}
