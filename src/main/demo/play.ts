import type { HttpApi } from '../../client/http.ts';
import type { Client } from '../../client.ts';
import { type AuthorizationRequest, type AuthorizationView, parseAuthorizationRequest } from '../../contract/wire.ts';
import { UNITS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Link, SandboxControl } from './sandbox-control.ts';
import { CAST, DEMO_DAYS, type Part } from './scenario.ts';
import type { LiveView } from './view.ts';

/** How often the live view looks. */
const LOOK_EVERY_MS = 500;
const REVOKE_AT_DAYS = 1.5;
const END_AT_DAYS = 2;

export type Played = {
  readonly links: ReadonlyMap<string, Link>;
  readonly worstAges: ReadonlyMap<string, { readonly ageSeconds: number; readonly promiseSeconds: number }>;
  /** What the source had seen of each when its data was found erased. */
  readonly requestsAtPurge: ReadonlyMap<string, number>;
};

/** Hands the cast over through the client and lets three virtual days pass, with one patient revoking and one caller ending on the way. */
export async function play({
  client,
  api,
  control,
  clock,
  view,
}: {
  readonly client: Client;
  readonly api: HttpApi;
  readonly control: SandboxControl;
  readonly clock: Clock;
  readonly view: LiveView;
}): Promise<Played> {
  const links = new Map<string, Link>();
  for (const part of CAST) {
    const link = await control.link(part);
    links.set(part.id, link);
    await client.enqueue(requestOf({ part, link }));
  }
  const begunAt = clock.now();
  const worstAges: Map<string, { ageSeconds: number; promiseSeconds: number }> = new Map();
  const requestsAtPurge = new Map<string, number>();
  const pending = eventsOf({ client, control, links });
  for (;;) {
    const days = (clock.now() - begunAt) / UNITS.DAY_MS;
    while (pending[0] !== undefined && days >= pending[0].atDays) await pending.shift()?.happen();
    const { authorizations } = await api.list({});
    view.show({ hours: days * 24, views: authorizations });
    noteAges(authorizations, worstAges);
    await notePurges({ authorizations, links, control, requestsAtPurge });
    if (days >= DEMO_DAYS) return { links, worstAges, requestsAtPurge };
    await clock.sleep(LOOK_EVERY_MS);
  }
}

function eventsOf({
  client,
  control,
  links,
}: {
  readonly client: Client;
  readonly control: SandboxControl;
  readonly links: ReadonlyMap<string, Link>;
}): { readonly atDays: number; readonly happen: () => Promise<void> }[] {
  const of = (role: Part['role']): readonly string[] => CAST.filter((part) => part.role === role).map(({ id }) => id);
  return [
    {
      atDays: REVOKE_AT_DAYS,
      happen: async () => {
        for (const id of of('revoked_by_patient')) await control.revoke(links.get(id)?.authorizationId ?? '');
      },
    },
    {
      atDays: END_AT_DAYS,
      happen: async () => {
        for (const id of of('ended_by_caller')) await client.cancel(id);
      },
    },
  ];
}

function requestOf({ part, link }: { readonly part: Part; readonly link: Link }): AuthorizationRequest {
  const { token } = link;
  const { id: endpointId, name, refreshable } = link.endpoint;
  const common = {
    id: part.id,
    source: 'sandbox',
    usage: part.usage,
    network: part.network,
    endpoint: { id: endpointId, name, refreshable },
    patient: link.patient,
  };
  if (token === undefined) return parseAuthorizationRequest({ ...common, publicToken: link.publicToken });
  return parseAuthorizationRequest({
    ...common,
    accessToken: token.access_token,
    expiresIn: token.expires_in,
    ...(token.refresh_token === undefined ? {} : { refreshToken: token.refresh_token }),
    ...(typeof token.refresh_expires_in === 'number' ? { refreshExpiresIn: token.refresh_expires_in } : {}),
  });
}

function noteAges(
  views: readonly AuthorizationView[],
  worst: Map<string, { ageSeconds: number; promiseSeconds: number }>,
): void {
  for (const { id, state, usage, freshness } of views) {
    if (state !== 'active' || usage !== 'MULTIPLE') continue;
    const ageSeconds = Math.max(worst.get(id)?.ageSeconds ?? 0, freshness.ageSeconds ?? 0);
    worst.set(id, { ageSeconds, promiseSeconds: freshness.promiseSeconds });
  }
}

async function notePurges({
  authorizations,
  links,
  control,
  requestsAtPurge,
}: {
  readonly authorizations: readonly AuthorizationView[];
  readonly links: ReadonlyMap<string, Link>;
  readonly control: SandboxControl;
  readonly requestsAtPurge: Map<string, number>;
}): Promise<void> {
  const found = authorizations.filter(({ id, state }) => state === 'purged' && !requestsAtPurge.has(id));
  if (found.length === 0) return;
  const rows = await control.rows();
  for (const { id } of found)
    requestsAtPurge.set(id, rows.get(links.get(id)?.authorizationId ?? '')?.fhirRequests ?? 0);
}
