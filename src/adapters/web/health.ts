import type { FastifyInstance } from 'fastify';
import { ERRORS } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports/clock.ts';

const limits = {
  /** The probes have a time of their own; this holds the answer together when what asks them hangs. */
  allProbesMs: LIMITS.probeTimeoutMs + 500,
} as const;

/** One dependency's answer; `code` is of the error catalogue or `timeout`. */
type ProbeResult = { readonly name: string; readonly ok: boolean; readonly code?: string };
export type Health = () => Promise<readonly ProbeResult[]>;

/**
 * Makes the `health` of the web server from one ping per dependency. All are asked at once; each has LIMITS.probeTimeoutMs.
 * Never rejects.
 */
export function createHealth({
  probes,
  clock,
}: {
  readonly probes: Readonly<Record<string, () => Promise<unknown>>>;
  readonly clock: Pick<Clock, 'sleep'>;
}): Health {
  return () => Promise.all(Object.entries(probes).map(([name, probe]) => probeOnce({ name, probe, clock })));
}

async function probeOnce({
  name,
  probe,
  clock,
}: {
  readonly name: string;
  readonly probe: () => Promise<unknown>;
  readonly clock: Pick<Clock, 'sleep'>;
}): Promise<ProbeResult> {
  const asked = answerOf(probe, name);
  return await firstOf({
    asked,
    afterMs: LIMITS.probeTimeoutMs,
    otherwise: { name, ok: false, code: 'timeout' },
    clock,
  });
}

async function answerOf(probe: () => Promise<unknown>, name: string): Promise<ProbeResult> {
  try {
    await probe();
    return { name, ok: true };
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    return { name, ok: false, code: knownCode(code) };
  }
}

async function firstOf<T>({
  asked,
  afterMs,
  otherwise,
  clock,
}: {
  readonly asked: Promise<T>;
  readonly afterMs: number;
  readonly otherwise: T;
  readonly clock: Pick<Clock, 'sleep'>;
}): Promise<T> {
  const cancel = new AbortController();
  try {
    return await Promise.race([asked, clock.sleep(afterMs, cancel.signal).then(() => otherwise)]);
  } finally {
    cancel.abort();
  }
}

function knownCode(code: unknown): string {
  return typeof code === 'string' && (Object.hasOwn(ERRORS, code) || code === 'timeout') ? code : 'internal';
}

/**
 * `/healthz` (the process lives), `/readyz` (503 names each dependency that is away), `/metrics` (Prometheus).
 * None asks for a key: they carry names, codes and counts, no id and no health data.
 */
export function registerHealth({
  app,
  health,
  metricsText,
  clock,
}: {
  readonly app: FastifyInstance;
  readonly health: Health;
  readonly metricsText: () => Promise<string>;
  readonly clock: Pick<Clock, 'sleep'>;
}): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const away = [{ name: 'health', ok: false, code: 'timeout' }];
    const asked = health().catch((): readonly ProbeResult[] => [{ name: 'health', ok: false, code: 'internal' }]);
    const found = await firstOf<readonly ProbeResult[]>({ asked, afterMs: limits.allProbesMs, otherwise: away, clock });
    const dependencies = found.map(({ name, ok, code }) => (ok ? { name, ok } : { name, ok, code: knownCode(code) }));
    const ready = dependencies.every(({ ok }) => ok);
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not_ready', dependencies });
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(await metricsText()),
  );
}
