import { request } from 'undici';
import { z } from 'zod';
import { PerennialError } from '../../core/errors.ts';
import type { Part } from './scenario.ts';

const TIMEOUT_MS = 20_000;
/** Half an hour, the default, is half a second of a fast clock. */
const PUBLIC_TOKEN_MS = 12 * 3_600_000;

const linkSchema = z.object({
  publicToken: z.string().optional(),
  patient: z.string(),
  authorizationId: z.string(),
  endpoint: z.object({ id: z.string(), name: z.string(), refreshable: z.boolean() }),
  token: z
    .object({
      access_token: z.string(),
      expires_in: z.number(),
      refresh_token: z.string().optional(),
      refresh_expires_in: z.number().nullish(),
    })
    .optional(),
});
export type Link = z.infer<typeof linkSchema>;

const statsSchema = z.object({
  authorizations: z.array(
    z.object({
      authorizationId: z.string(),
      alive: z.boolean(),
      exchanges: z.number(),
      refreshes: z.number(),
      reusedRefreshTokens: z.number(),
      refusedRefreshTokens: z.number(),
      lostReplies: z.number(),
      fhirRequests: z.number(),
      transientAnswers: z.number(),
      throttledAnswers: z.number(),
      revocations: z.number(),
      requestsAfterRevoke: z.number(),
      resourcesSha256: z.string().nullish(),
      resources: z.record(z.string(), z.number()).nullish(),
    }),
  ),
});
export type Row = z.infer<typeof statsSchema>['authorizations'][number];

/** What plays the patients and the weather: the sandbox's own control plane. */
export type SandboxControl = {
  readonly link: (part: Part) => Promise<Link>;
  readonly revoke: (authorizationId: string) => Promise<void>;
  /** From now on nobody's records change. */
  readonly freeze: () => Promise<void>;
  readonly rows: () => Promise<ReadonlyMap<string, Row>>;
};

export function createSandboxControl({ url }: { readonly url: string }): SandboxControl {
  const call = async (method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<unknown> => {
    const response = await request(`${url}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    const answer: unknown = await response.body.json();
    if (response.statusCode >= 300) throw new PerennialError('internal', { field: `sandbox ${path}` });
    return answer;
  };
  return {
    link: async ({ id, usage, endpoint, size, exchanged, knobs = {} }) => {
      const wanted = {
        usage,
        endpointId: endpoint,
        externalId: id,
        size,
        knobs: { publicTokenMs: PUBLIC_TOKEN_MS, ...knobs },
      };
      return linkSchema.parse(await call('POST', `/sandbox/links${exchanged ? '?exchange=true' : ''}`, wanted));
    },
    revoke: async (authorizationId) =>
      void (await call('POST', `/sandbox/authorizations/${authorizationId}/revoke`, {})),
    freeze: async () => void (await call('PUT', '/sandbox/knobs', { global: { evolves: false } })),
    rows: async () => {
      const { authorizations } = statsSchema.parse(await call('GET', '/sandbox/stats'));
      return new Map(authorizations.map((row) => [row.authorizationId, row]));
    },
  };
}
