import { join, resolve } from 'node:path';
import { openQueueBackend, type QueueBackend, type QueuePlace } from '../adapters/queue/backend.ts';
import { createWorkQueue, type OpenWorkQueue } from '../adapters/queue/work-queue.ts';
import { openEmbeddedStore } from '../adapters/store/embedded.ts';
import { lockDataDir } from '../adapters/store/lock.ts';
import { openPostgresStore } from '../adapters/store/postgres.ts';
import { createClock } from '../adapters/system/clock.ts';
import { createCodec } from '../adapters/system/codec.ts';
import { createEntropy } from '../adapters/system/entropy.ts';
import { createLog } from '../adapters/telemetry/log.ts';
import { createMetrics, type Telemetry } from '../adapters/telemetry/metrics.ts';
import { type SourcesConfig, sourcesSchema, urlsOf } from '../adapters/upstream/source-config.ts';
import { createSources } from '../adapters/upstream/sources.ts';
import { isLoopbackUrl } from '../adapters/upstream/urls.ts';
import { openFileVault } from '../adapters/vault/file.ts';
import { deriveIntakeKeys } from '../adapters/vault/intake-keys.ts';
import type { Keyring } from '../adapters/vault/keyring.ts';
import { openPostgresVault } from '../adapters/vault/postgres.ts';
import { cadenceSchema, type Environment, readJsonSetting } from '../config.ts';
import { codeOf, PerennialError } from '../core/errors.ts';
import { LIMITS, UNITS } from '../core/limits.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Store } from '../core/ports/store.ts';
import type { Vault } from '../core/ports/vault.ts';
import type { Context } from '../flows/context.ts';
import { readKeyring } from './key-settings.ts';

/** Connections to PostgreSQL of one process: a few more than jobs usually wait in the database at once. */
const STORE_POOL_SIZE = 10;
const VAULT_POOL_SIZE = 2;
/** The installation's own data key, by which a start proves its ENCRYPTION_KEYS; no authorization's id begins with a dot. */
const KEYRING_PROOF = '.keyring';

/** The opened house: what the flows need, and what the process needs to run and to close it. */
export type Composition = {
  readonly context: Context;
  readonly backend: QueueBackend;
  readonly queue: OpenWorkQueue;
  readonly telemetry: Telemetry;
  readonly intake: ReturnType<typeof deriveIntakeKeys>;
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
  const store = await openStore({ environment, dataDir, now: clock.now, onClose });
  onClose(store.close);
  const vault = await openVault({ environment, dataDir, keyring });
  onClose(vault.close);
  await proveKeyring(vault);
  const backend = await openQueueBackend({
    place: placeOf({ environment, dataDir }),
    prefix: environment.QUEUE_PREFIX,
  });
  onClose(backend.close);
  const queue = createWorkQueue({ backend, clock, log });
  onClose(queue.close);
  await queue.ready();
  const sources = createSources({ config: sourcesConfig, clock });
  onClose(sources.close);
  const stopping = new AbortController();
  const context: Context = {
    store,
    queue,
    vault,
    sources,
    codec: createCodec(),
    clock,
    entropy,
    log,
    metrics: telemetry.metrics,
    cadence,
    warnDays: environment.WARN_DAYS,
    owner: `${process.pid}-${entropy.id()}`,
    stopping: stopping.signal,
  };
  telemetry.setGauges(gaugesOf({ store, queue, clock, warnDays: environment.WARN_DAYS }));
  return { context, backend, queue, telemetry, stopping, intake: deriveIntakeKeys(keyring) };
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

async function openStore({
  environment,
  dataDir,
  now,
  onClose,
}: {
  readonly environment: Environment;
  readonly dataDir: string;
  readonly now: Clock['now'];
  readonly onClose: (closer: () => Promise<void>) => void;
}): Promise<Store> {
  const { DATABASE_URL: databaseUrl } = environment;
  if (databaseUrl !== undefined) {
    return named('DATABASE_URL', openPostgresStore({ databaseUrl, poolSize: STORE_POOL_SIZE, now }));
  }
  onClose((await lockDataDir({ dataDir, pid: process.pid })).release);
  return named('DATA_DIR', openEmbeddedStore({ dataDir, now }));
}

function openVault({
  environment: { KEY_DATABASE_URL: databaseUrl },
  dataDir,
  keyring,
}: {
  readonly environment: Environment;
  readonly dataDir: string;
  readonly keyring: Keyring;
}): Promise<Vault> {
  return databaseUrl === undefined
    ? named('DATA_DIR', openFileVault({ directory: join(dataDir, 'keys'), keyring }))
    : named('KEY_DATABASE_URL', openPostgresVault({ databaseUrl, keyring, poolSize: VAULT_POOL_SIZE }));
}

/** No start with keys that do not open what is there: every authorization would fail by itself, and new ones be sealed apart from the old. */
async function proveKeyring(vault: Vault): Promise<void> {
  try {
    await vault.create(KEYRING_PROOF);
  } catch (error) {
    if (codeOf(error) !== 'unseal_failed') throw error;
    throw new PerennialError('config_invalid', { field: 'ENCRYPTION_KEYS does not open the data keys that are there' });
  }
}

/** What fails while something is opened, under the name of the setting that leads there. */
async function named<T>(field: string, opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    if (error instanceof PerennialError && error.field === undefined) throw new PerennialError(error.code, { field });
    throw error;
  }
}

/** BullMQ on Redis; without one on the PostgreSQL that is there, or on an embedded one. */
function placeOf({
  environment,
  dataDir,
}: {
  readonly environment: Environment;
  readonly dataDir: string;
}): QueuePlace {
  if (environment.REDIS_URL !== undefined) return { kind: 'redis', url: environment.REDIS_URL };
  if (environment.DATABASE_URL !== undefined) return { kind: 'postgres', url: environment.DATABASE_URL };
  return { kind: 'embedded', dataDir };
}

function gaugesOf({
  store,
  queue,
  clock,
  warnDays,
}: {
  readonly store: Store;
  readonly queue: OpenWorkQueue;
  readonly clock: Clock;
  readonly warnDays: readonly number[];
}): Parameters<Telemetry['setGauges']>[0] {
  return async () => {
    const counts = await Promise.all(
      [...queue.queues].map(async ([name, one]) => [name, await one.getJobCounts()] as const),
    );
    const overdue = await store.duePurges({ now: clock.now(), limit: LIMITS.overdueCountMax });
    const oldest = await store.oldestFreshAsOf();
    const ending = await Promise.all(
      warnDays.map(async (days) => {
        const before = clock.now() + days * UNITS.DAY_MS;
        return [days, await store.countEnding({ before })] as const;
      }),
    );
    return {
      authorizationsByState: await store.countByState(),
      queueJobs: Object.fromEntries(counts),
      sourceConditions: await store.sourceStates(),
      endingWithinDays: Object.fromEntries(ending),
      purgesOverdue: overdue.length,
      oldestRecordAgeSeconds: oldest === null ? 0 : Math.max(0, clock.now() - oldest) / UNITS.SECOND_MS,
    };
  };
}
