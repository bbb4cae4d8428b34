import { randomBytes } from 'node:crypto';
import { readEnvironment } from '../../src/config.ts';
import { parseAuthorizationRequest } from '../../src/contract/wire.ts';
import type { Context } from '../../src/flows/context.ts';
import { createService } from '../../src/flows/serve.ts';
import { compose } from '../../src/main/compose.ts';
import { startWorker } from '../../src/main/run.ts';
import { type Endpoints, type Manner, startEndpoints } from './endpoints.ts';
import type { Place } from './system-places.ts';
import { until } from './system-until.ts';

const SOURCE = 'payers';
const LIFETIME_S = 86_400;
/** Of endpoints called `ending...` the tokens were issued so long ago: they still serve, and are to be refreshed. */
const ENDING_AGE_MS = 23.5 * 3_600_000;
/** Authorizations handed over at once. */
const HANDS = 8;

/** One worker of a whole Perennial, in front of many endpoints. */
export type GateStage = {
  readonly endpoints: Endpoints;
  readonly context: Context;
  /** Hands over so many authorizations of each endpoint, one endpoint after the other in each round; their first runs are due at once. */
  readonly accept: (counts: Readonly<Record<string, number>>) => Promise<void>;
  readonly start: () => Promise<void>;
  /** Asks for a pull of each authorization of these endpoints. */
  readonly ask: (endpoints: readonly string[]) => Promise<void>;
  /** Has each of their authorizations pulled once more, and gives the time until the last was sent in seconds. */
  readonly pullAll: (endpoints: readonly string[], capMs: number) => Promise<number>;
  /** Waits until these endpoints have sent so many pages since the stage began, and gives the time it took in seconds. */
  readonly sent: (value: {
    readonly endpoints: readonly string[];
    readonly count: number;
    readonly capMs?: number;
  }) => Promise<number>;
  readonly close: () => Promise<void>;
};

/** `rig` changes what the worker works with, to break it. */
export async function openGateStage({
  place,
  mannerOf,
  latencyMs,
  concurrency,
  rig = (context) => context,
}: {
  readonly place: Place;
  readonly mannerOf: (endpoint: string) => Manner;
  readonly latencyMs: number;
  readonly concurrency?: number;
  readonly rig?: (context: Context) => Context;
}): Promise<GateStage> {
  const endpoints = await startEndpoints({ mannerOf, latencyMs });
  const source = { kind: 'flexpa', baseUrl: endpoints.url, publishableKey: 'pk', secretKey: 'sk', incremental: false };
  const environment = readEnvironment({
    ...place.settings,
    ENCRYPTION_KEYS: `test:${randomBytes(32).toString('base64')}`,
    SOURCES: JSON.stringify({ [SOURCE]: source }),
    LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'silent',
    ...(concurrency === undefined ? {} : { WORKER_CONCURRENCY: String(concurrency) }),
  });
  const composed = await compose(environment);
  const composition = { ...composed, context: rig(composed.context) };
  const { context } = composition;
  const service = createService(context);
  const accepted: string[] = [];
  let worker: Awaited<ReturnType<typeof startWorker>> | null = null;
  const acceptOne = async (patient: string): Promise<void> => {
    const [endpoint = ''] = patient.split('.');
    const tokens = { accessToken: `at.${patient}`, refreshToken: `rt.${patient}`, expiresIn: LIFETIME_S };
    const ageMs = endpoint.startsWith('ending') ? ENDING_AGE_MS : 0;
    const issuedAt = new Date(context.clock.now() - ageMs).toISOString();
    const what = { source: SOURCE, usage: 'MULTIPLE', network: 'TEFCA_IAS', endpoint: { id: endpoint } };
    const request = parseAuthorizationRequest({
      id: patient,
      patient: `Patient/${patient}`,
      ...what,
      ...tokens,
      issuedAt,
    });
    await service.accept({ request, actor: 'test' });
  };
  const ask = (ids: readonly string[]): Promise<void> =>
    byHands(ids, (authorizationId) =>
      context.queue.add({ queue: 'refresh-and-pull', authorizationId, reason: 'asked_for' }),
    );
  return {
    endpoints,
    context,
    accept: async (counts) => {
      const patients = interleaved(counts);
      accepted.push(...patients);
      await byHands(patients, acceptOne);
    },
    start: async () => {
      worker = await startWorker({ composition, environment });
    },
    ask: (names) => ask(accepted.filter(isOf(names))),
    pullAll: async (names, capMs) => {
      const from = endpoints.sent.length;
      const since = performance.now();
      const wanted = accepted.filter(isOf(names));
      const missing = async (): Promise<readonly string[]> => {
        const sent = new Set(endpoints.sent.slice(from));
        const left = wanted.filter((patient) => !sent.has(patient));
        // A run that is just ending swallows the first asking.
        await ask(left);
        return left;
      };
      await until('each was pulled once more', missing, (left) => left.length === 0, { capMs, everyMs: 200 });
      return (performance.now() - since) / 1_000;
    },
    sent: async ({ endpoints: names, count, capMs = 60_000 }) => {
      const since = performance.now();
      const of = async () => endpoints.sent.filter(isOf(names)).length;
      await until(`${count} pages are sent`, of, (sent) => sent >= count, { capMs, everyMs: 20 });
      return (performance.now() - since) / 1_000;
    },
    close: async () => {
      // What hangs ends at once.
      await endpoints.close();
      await worker?.stop();
      await composed.close();
    },
  };
}

function isOf(names: readonly string[]): (patient: string) => boolean {
  return (patient) => names.includes(patient.split('.')[0] ?? '');
}

/** The first of each endpoint, then the second of each, and so on. */
function interleaved(counts: Readonly<Record<string, number>>): readonly string[] {
  const most = Math.max(...Object.values(counts));
  return Array.from({ length: most }, (_, nth) => nth).flatMap((nth) =>
    Object.entries(counts).flatMap(([endpoint, count]) => (nth < count ? [`${endpoint}.${nth}`] : [])),
  );
}

async function byHands(ids: readonly string[], act: (id: string) => Promise<unknown>): Promise<void> {
  const left = [...ids];
  const hand = async (): Promise<void> => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) await act(id);
  };
  await Promise.all(Array.from({ length: HANDS }, hand));
}
