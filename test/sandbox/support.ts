import { afterEach } from 'vitest';
import { z } from 'zod';
import { type RunningSandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/server.ts';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
export const START_MS = Date.UTC(2026, 9, 1, 8, 30);
export const BASIC = `Basic ${Buffer.from('pk_test_sandbox:sk_test_sandbox').toString('base64')}`;

const open: RunningSandbox[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((it) => it.close()));
});

export type Start = { url: string; advance: (ms: number) => void; now: () => number };

/** A sandbox on a hand-advanced clock, closed after the test. Domain durations take a hundredth of their time on the wall. */
export async function start(options: Partial<SandboxOptions> = {}): Promise<Start> {
  let nowMs = START_MS;
  const clock = { now: () => nowMs, toWallMs: (ms: number) => ms / 100 };
  const running = await startSandbox({ seed: 7, clock, ...options });
  open.push(running);
  return {
    url: running.url,
    advance: (ms) => {
      nowMs += ms;
    },
    now: () => nowMs,
  };
}

const endpointRow = z.object({
  id: z.string(),
  name: z.string(),
  network: z.string(),
  refreshable: z.boolean(),
  maxAuthPeriod: z.number().nullable(),
});
const tokens = z.object({
  access_token: z.string(),
  expires_in: z.number(),
  refresh_token: z.string().optional(),
  refresh_expires_in: z.number().nullable().optional(),
});
const link = z.object({ patient: z.string(), authorizationId: z.string(), publicToken: z.string() });
const exchanged = z.object({ patient: z.string(), authorizationId: z.string(), token: tokens });
export const bundle = z.object({
  resourceType: z.literal('Bundle'),
  type: z.literal('searchset'),
  total: z.number().optional(),
  entry: z
    .array(z.object({ fullUrl: z.string(), resource: z.looseObject({ resourceType: z.string(), id: z.string() }) }))
    .default([]),
  link: z.array(z.object({ relation: z.string(), url: z.string() })),
});
export const outcome = z.object({
  resourceType: z.literal('OperationOutcome'),
  issue: z.tuple([z.object({ severity: z.string(), code: z.string(), diagnostics: z.string() })]),
});
const stats = z.object({
  nowMs: z.number(),
  authorizations: z.tuple([z.looseObject({ resources: z.record(z.string(), z.number()) })]),
});

export function send(
  url: string,
  method: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const json =
    body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } };
  return fetch(url, { method, headers, ...json });
}

export async function endpoints(url: string): Promise<z.infer<typeof endpointRow>[]> {
  const reply = await fetch(`${url}/endpoints`);
  return z.object({ data: z.array(endpointRow) }).parse(await reply.json()).data;
}

/** A patient who went through Link; MULTIPLE at the first refreshable payer unless told otherwise. */
export async function newLink(url: string, body: Record<string, unknown> = {}): Promise<z.infer<typeof link>> {
  const defaults = { usage: 'MULTIPLE', endpointId: 'meadowlark-health-plan', size: 'small' };
  return link.parse(await (await send(`${url}/sandbox/links`, 'POST', { ...defaults, ...body })).json());
}

export type Grant = z.infer<typeof exchanged> & { access: string; refresh: string; patientId: string };

/** The same, already exchanged. */
export async function grant(url: string, body: Record<string, unknown> = {}): Promise<Grant> {
  const defaults = { usage: 'MULTIPLE', endpointId: 'meadowlark-health-plan', size: 'small' };
  const reply = await send(`${url}/sandbox/links?exchange=true`, 'POST', { ...defaults, ...body });
  const it = exchanged.parse(await reply.json());
  return {
    ...it,
    access: it.token.access_token,
    refresh: it.token.refresh_token ?? '',
    patientId: it.patient.slice('Patient/'.length),
  };
}

export function exchange(url: string, publicToken: string, secretKey = 'sk_test_sandbox'): Promise<Response> {
  return send(`${url}/link/exchange`, 'POST', { public_token: publicToken, secret_key: secretKey });
}

export function refresh(
  url: string,
  refreshToken: string,
  path = '/link/token',
  authorization = BASIC,
): Promise<Response> {
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken });
  return fetch(`${url}${path}`, { method: 'POST', body, headers: { authorization } });
}

/** A refresh that must succeed. */
export async function refreshed(url: string, refreshToken: string): Promise<{ access: string; refresh: string }> {
  const reply = await refresh(url, refreshToken);
  if (reply.status !== 200) throw new Error(`refresh answered ${reply.status}`);
  const body = tokens.parse(await reply.json());
  return { access: body.access_token, refresh: body.refresh_token ?? '' };
}

export function get(url: string, access: string): Promise<Response> {
  return fetch(url, { headers: { authorization: `Bearer ${access}` } });
}

/** Follows `next` to the end; every resource as `Type/id` in the order served. */
export async function readAll(firstUrl: string, access: string): Promise<string[]> {
  const keys: string[] = [];
  let url: string | undefined = firstUrl;
  while (url !== undefined) {
    const page: z.infer<typeof bundle> = bundle.parse(await (await get(url, access)).json());
    keys.push(...page.entry.map(({ resource }) => `${resource.resourceType}/${resource.id}`));
    url = page.link.find((it) => it.relation === 'next')?.url;
  }
  return keys;
}

export async function setKnobs(url: string, body: Record<string, unknown>): Promise<void> {
  const reply = await send(`${url}/sandbox/knobs`, 'PUT', body);
  if (reply.status !== 200) throw new Error(`knobs answered ${reply.status} ${await reply.text()}`);
}

export async function statsOf(
  url: string,
  authorizationId: string,
): Promise<Record<string, unknown> & { resources: Record<string, number> }> {
  const reply = await fetch(`${url}/sandbox/stats?authorization=${authorizationId}`);
  return stats.parse(await reply.json()).authorizations[0];
}
