import { fileURLToPath } from 'node:url';
import { type Process, startProcess } from '../../support/processes.ts';
import { type SilentProxy, silentProxy } from '../../support/silent-proxy.ts';
import type { World } from '../../support/world.ts';

const BROKEN = fileURLToPath(new URL('./broken-worker.ts', import.meta.url));

/** One place in the fleet, in which one worker process runs after the other. */
export type Worker = {
  /** All that ran in it, the last one last. */
  readonly processes: Process[];
  readonly redis: SilentProxy;
  readonly postgres: SilentProxy;
  /** Starts a process and waits until it works, as an orchestrator does: one that ends because a server is away is started again. */
  readonly start: (clock?: { readonly stepMs: number }) => Promise<void>;
  /** Ends it by a signal and waits for its end. */
  readonly end: (signal: 'SIGKILL' | 'SIGTERM') => Promise<void>;
  readonly signal: (signal: 'SIGSTOP' | 'SIGCONT') => void;
  /** Processes that worked and then ended although nobody told them to. */
  readonly died: () => number;
  readonly close: () => Promise<void>;
};

/** Starts before the orchestrator says that something is broken. */
const STARTS_MAX = 40;

/** A worker whose ways to Redis and to PostgreSQL are its own, so that they can fall silent for it alone. */
export async function openWorker({
  env,
  world,
  broken = false,
}: {
  readonly env: Readonly<Record<'REDIS_URL' | 'DATABASE_URL' | 'KEY_DATABASE_URL' | (string & {}), string>>;
  readonly world: Pick<World, 'rate'>;
  /** Runs broken-worker.ts instead. */
  readonly broken?: boolean;
}): Promise<Worker> {
  const redis = await silentProxy(new URL(env['REDIS_URL'] ?? ''));
  const postgres = await silentProxy(new URL(env['DATABASE_URL'] ?? ''));
  const through = (url: string | undefined): string => {
    const changed = new URL(url ?? '');
    changed.port = new URL(postgres.url).port;
    return changed.href;
  };
  const own = {
    ...env,
    REDIS_URL: redis.url,
    DATABASE_URL: through(env['DATABASE_URL']),
    KEY_DATABASE_URL: through(env['KEY_DATABASE_URL']),
  };
  const processes: Process[] = [];
  const wanted = new Set<Process>();
  let died = 0;
  const start = async ({ stepMs }: { readonly stepMs: number } = { stepMs: 0 }): Promise<void> => {
    for (let starts = 1; ; starts += 1) {
      const more = { ...own, CLOCK_EPOCH_MS: epochOf({ world, stepMs }) };
      const process = startProcess({ args: ['worker'], env: more, ...(broken ? { entry: BROKEN } : {}) });
      processes.push(process);
      try {
        await process.line(/"event":"(worker_started)"/);
      } catch (error) {
        if (starts >= STARTS_MAX) throw error;
        continue;
      }
      wanted.add(process);
      void process.exit.then(() => {
        if (wanted.delete(process)) died += 1;
      });
      return;
    }
  };
  const end = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    const process = processes.at(-1);
    if (process === undefined) return;
    wanted.delete(process);
    process.signal(signal);
    await process.exit;
  };
  return {
    processes,
    redis,
    postgres,
    start,
    end,
    signal: (signal) => processes.at(-1)?.signal(signal),
    died: () => died,
    close: async () => {
      processes.at(-1)?.signal('SIGCONT');
      await end('SIGKILL');
      await Promise.all([redis.close(), postgres.close()]);
    },
  };
}

/** The epoch with which a fast clock shows `stepMs` more than the world's. */
function epochOf({
  world: { rate },
  stepMs,
}: {
  readonly world: Pick<World, 'rate'>;
  readonly stepMs: number;
}): string {
  return String(Number(rate.CLOCK_EPOCH_MS) + Math.round(stepMs / (1 - Number(rate.CLOCK_SPEED))));
}
