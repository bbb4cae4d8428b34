import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { ApiKey } from '../../src/adapters/web/auth.ts';
import { SCOPES } from '../../src/adapters/web/auth.ts';
import { createWebServer, type WebOptions, type WebServer } from '../../src/adapters/web/server.ts';
import type { Log } from '../../src/core/ports/telemetry.ts';
import { createFakeService, type FakeService } from './fake-service.ts';
import { notaryOf } from './notary.ts';

export const KEY = 'canary-key-portal-0123456789';
export const READER_KEY = 'canary-key-reader-0123456789';

export const INTAKE_KEY = {
  kty: 'OKP',
  crv: 'X25519',
  x: 'hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo',
  kid: 'k1',
} as const;

export const wallClock = {
  sleep: (wallMs: number, signal?: AbortSignal) =>
    wait(wallMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined),
};

function keyOf(service: string, key: string, scopes: ApiKey['scopes'] = SCOPES): ApiKey {
  return { service, scopes, keyHash: createHash('sha256').update(key).digest() };
}

type LogLine = {
  readonly level: string;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
};

export function createLogMemory(): { readonly log: Log; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: string): Log['info'] =>
    (event, fields = {}) => {
      lines.push({ level, event, fields });
    };
  return { log: { info: at('info'), warn: at('warn'), error: at('error') }, lines };
}

export type TestWeb = WebServer & { readonly service: FakeService; readonly lines: LogLine[] };

/** A web server on a free loopback port with a fake service behind it. */
export async function startWeb(change: Partial<WebOptions> = {}): Promise<TestWeb> {
  const service = createFakeService();
  const { log, lines } = createLogMemory();
  const server = await createWebServer({ ...webOptions({ service, log }), ...change });
  return { ...server, service, lines };
}

export function webOptions({ service, log }: { readonly service: FakeService; readonly log: Log }): WebOptions {
  return {
    service,
    log,
    metricsText: async () => 'perennial_up 1\n',
    health: async () => [{ name: 'database', ok: true }],
    clock: wallClock,
    apiKeys: [keyOf('portal', KEY), keyOf('reader', READER_KEY, ['read'])],
    dashboard: null,
    host: '127.0.0.1',
    port: 0,
    version: '0.1.0',
    intakePublicJwk: INTAKE_KEY,
    signingPublicJwk: notaryOf().publicJwk,
  };
}

export const bearer = (key: string = KEY) => ({ authorization: `Bearer ${key}` });

export function post(url: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { ...bearer(), 'content-type': 'application/json', ...headers }, body });
}
