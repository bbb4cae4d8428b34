import { resolve } from 'node:path';
import { createGates } from '../adapters/gates/gates.ts';
import { openQueueBackend, type QueueBackend, type QueuePlace } from '../adapters/queue/backend.ts';
import { createCensus } from '../adapters/queue/census.ts';
import { createShardKeeper, type ShardKeeper } from '../adapters/queue/shard-keeper.ts';
import { createWorkQueue, type OpenWorkQueue } from '../adapters/queue/work-queue.ts';
import { openEmbeddedStore } from '../adapters/store/embedded.ts';
import { lockDataDir } from '../adapters/store/lock.ts';
import { openPostgresStore } from '../adapters/store/postgres.ts';
import { createClock } from '../adapters/system/clock.ts';
import { createCodec } from '../adapters/system/codec.ts';
import { createEntropy } from '../adapters/system/entropy.ts';
import { createLog } from '../adapters/telemetry/log.ts';
import { createMetrics, type Telemetry } from '../adapters/telemetry/metrics.ts';
import { endpointLimitsOf, type SourcesConfig, sourcesSchema, urlsOf } from '../adapters/upstream/source-config.ts';
import { createSources } from '../adapters/upstream/sources.ts';
import { isLoopbackUrl } from '../adapters/upstream/urls.ts';
import type { IntakeKeys } from '../adapters/vault/intake-keys.ts';
import { cadenceSchema, type Environment, readJsonSetting } from '../config.ts';
import { PerennialError } from '../core/errors.ts';
import { LIMITS, UNITS } from '../core/limits.ts';
import type { QueueCensus } from '../core/ports/census.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Gates } from '../core/ports/gates.ts';
import type { Notary, SigningJwk } from '../core/ports/notary.ts';
import type { Store } from '../core/ports/store.ts';
import type { Context } from '../flows/context.ts';
import { createLearner } from '../flows/learn.ts';
import { createPullPlaces } from '../flows/pull-places.ts';
import { createSuspects } from '../flows/suspects.ts';
import { gaugesOf } from './gauges.ts';
import { openInstallation, openVault, proveTogether } from './installation.ts';
import { readKeyring } from './key-settings.ts';
import { named } from './named.ts';

/** Connections to PostgreSQL of one process: a few more than jobs usually wait in the database at once. */
const STORE_POOL_SIZE = 10;

/** The opened house: what the flows need, and what the process needs to run and to close it. */
export type Composition = {
  readonly context: Context;
  readonly backend: QueueBackend;
  readonly queue: OpenWorkQueue;
  readonly census: QueueCensus;
  readonly shards: ShardKeeper | null;
  readonly telemetry: Telemetry;
  readonly intake: IntakeKeys;
  readonly signingPublicJwk: SigningJwk;
  /** Aborted by whoever stops the process. */
  readonly stopping: AbortController;
  readonly close: () => Promise<void>;
};

/**
 * Opens every adapter that the environment asks for. What was opened before a failure is closed again.
 * @throws PerennialError naming the setting or the dependency.
 */
export async function compose(environment: Environment): Promise<Composition> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return { ...(await open({ environment, onClose: (closer) => closers.push(closer) })), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open({
  environment,
  onClose,
}: {
  readonly environment: Environment;
  readonly onClose: (closer: () => Promise<void>) => void;
}): Promise<Omit<Composition, 'close'>> {
  const clock = createClock({ epochMs: environment.CLOCK_EPOCH_MS, speed: environment.CLOCK_SPEED });
  const entropy = createEntropy({ wallNow: clock.wallNow });
  const log = createLog({ level: environment.LOG_LEVEL, destination: process.stdout, now: clock.wallNow });
  const telemetry = createMetrics();
  const keyring = readKeyring(environment);
  const sourcesConfig = readSources(environment);
  const cadence = readJsonSetting({ name: 'CADENCE_FILE', file: environment.CADENCE_FILE, schema: cadenceSchema });
  const dataDir = resolve(environment.DATA_DIR);
  if (environment.DATABASE_URL === undefined) onClose((await lockDataDir({ dataDir, pid: process.pid })).release);
  const vault = await openVault({ environment, keyring });
  onClose(vault.close);
  const installation = await openInstallation(vault);
  const { intake, notary } = installation;
  const store = await openStore({ environment, dataDir, now: clock.now, notary });
  onClose(store.close);
  await proveTogether({ environment, store, vault, installation });
  const queues = await openQueues({ environment, dataDir, clock, log, onClose });
  const { backend, queue } = queues;
  const sources = createSources({ config: sourcesConfig, clock });
  onClose(sources.close);
  const gates = openGates({ environment, sourcesConfig, redis: backend.redis, clock, entropy, log });
  onClose(gates.close);
  const learner = createLearner({ store, clock, cadence, log });
  onClose(learner.settle);
  const stopping = new AbortController();
  const context: Context = {
    store,
    queue,
    vault,
    sources,
    gates,
    suspects: createSuspects(),
    pulls: createPullPlaces({ count: environment.WORKER_PULLS }),
    codec: createCodec(),
    clock,
    entropy,
    log,
    metrics: telemetry.metrics,
    cadence,
    learner,
    warnDays: environment.WARN_DAYS,
    purgeAlertMs: environment.PURGE_ALERT_SECONDS * UNITS.SECOND_MS,
    owner: `${process.pid}-${entropy.id()}`,
    stopping: stopping.signal,
  };
  telemetry.setGauges(gaugesOf({ context, queue }));
  return { context, ...queues, telemetry, stopping, intake, signingPublicJwk: notary.publicJwk };
}

async function openQueues({
  environment,
  dataDir,
  clock,
  log,
  onClose,
}: Pick<Context, 'clock' | 'log'> & {
  readonly environment: Environment;
  readonly dataDir: string;
  readonly onClose: (closer: () => Promise<void>) => void;
}): Promise<Pick<Composition, 'backend' | 'queue' | 'census' | 'shards'>> {
  const place = placeOf({ environment, dataDir });
  const backend = await openQueueBackend({ place, prefix: environment.QUEUE_PREFIX });
  onClose(backend.close);
  const queue = createWorkQueue({ backend, clock, log });
  onClose(queue.close);
  await queue.ready();
  const parts = { backend, queue, clock };
  return { backend, queue, census: createCensus(parts), shards: createShardKeeper(parts) };
}

function openGates({
  environment: { QUEUE_PREFIX: prefix, WORKER_CONCURRENCY: places },
  sourcesConfig,
  ...parts
}: Pick<Parameters<typeof createGates>[0], 'redis' | 'clock' | 'entropy' | 'log'> & {
  readonly environment: Environment;
  readonly sourcesConfig: SourcesConfig;
}): Gates {
  const limitsOf = (source: string) => endpointLimitsOf(sourcesConfig[source] ?? {});
  const probesMax = Math.max(1, Math.floor(places * LIMITS.probeShare));
  return createGates({ prefix, limitsOf, probesMax, ...parts });
}

function readSources(environment: Environment): SourcesConfig {
  const name = environment.SOURCES === undefined ? 'SOURCES_FILE' : 'SOURCES';
  const config = readJsonSetting({
    name,
    file: environment.SOURCES_FILE,
    text: environment.SOURCES,
    schema: sourcesSchema,
  });
  // A fast clock would purge real patients' data years early.
  const foreign = Object.values(config).some((source) => urlsOf(source).some((url) => !isLoopbackUrl(url)));
  if (environment.CLOCK_SPEED !== 1 && foreign) {
    throw new PerennialError('config_invalid', { field: 'CLOCK_SPEED must be 1 unless every source is on loopback' });
  }
  return config;
}

function openStore({
  environment: { DATABASE_URL: databaseUrl },
  dataDir,
  ...parts
}: {
  readonly environment: Environment;
  readonly dataDir: string;
  readonly now: Clock['now'];
  readonly notary: Notary;
}): Promise<Store> {
  return databaseUrl === undefined
    ? named('DATA_DIR', openEmbeddedStore({ dataDir, ...parts }))
    : named('DATABASE_URL', openPostgresStore({ databaseUrl, poolSize: STORE_POOL_SIZE, ...parts }));
}

/** BullMQ on Redis; without one on the PostgreSQL that is there, or on an embedded one. */
function placeOf({
  environment,
  dataDir,
}: {
  readonly environment: Environment;
  readonly dataDir: string;
}): QueuePlace {
  const { REDIS_URL: redisUrl, QUEUE_SHARDS: shards } = environment;
  if (redisUrl !== undefined) return { kind: 'redis', url: redisUrl, shards };
  // One database stays one, by however many names.
  if (shards > 1) throw new PerennialError('config_invalid', { field: 'QUEUE_SHARDS above 1 needs REDIS_URL' });
  if (environment.DATABASE_URL !== undefined) return { kind: 'postgres', url: environment.DATABASE_URL };
  return { kind: 'embedded', dataDir };
}
