import { setTimeout as wait } from 'node:timers/promises';
import type { PostgresServer } from './postgres-server.ts';
import type { RedisServer } from './redis-server.ts';
import { type Fault, type FaultKind, SERVER_FAULTS } from './schedule.ts';
import type { Worker } from './workers.ts';

/** One fault that was struck; on `performance.now`. */
export type Struck = { readonly kind: FaultKind; readonly worker: number; readonly atMs: number; healedAtMs: number };

export type Targets = {
  readonly workers: readonly Worker[];
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
};

/**
 * Carries a schedule out, workers' and servers' faults side by side, and heals each. What a slow machine has not come to by `forMs` is left out. Gives what was
 * struck, once all is healed.
 */
export async function strikeAll({
  schedule,
  forMs,
  targets,
  told = () => undefined,
}: {
  readonly schedule: readonly Fault[];
  readonly forMs: number;
  readonly targets: Targets;
  readonly told?: (struck: Struck) => void;
}): Promise<readonly Struck[]> {
  const begunAt = performance.now();
  const all: Struck[] = [];
  const isServers = ({ kind }: Fault): boolean => SERVER_FAULTS.some((one) => one === kind);
  const lane = async (faults: readonly Fault[]): Promise<void> => {
    for (const fault of faults) {
      await wait(Math.max(0, begunAt + fault.atMs - performance.now()));
      if (performance.now() - begunAt > forMs) return;
      const struck: Struck = {
        kind: fault.kind,
        worker: fault.worker,
        atMs: performance.now(),
        healedAtMs: Number.POSITIVE_INFINITY,
      };
      all.push(struck);
      await strike({ fault, targets });
      struck.healedAtMs = performance.now();
      told(struck);
    }
  };
  await Promise.all([lane(schedule.filter(isServers)), lane(schedule.filter((fault) => !isServers(fault)))]);
  return all;
}

async function strike({
  fault: { kind, forMs, worker: index, stepMs },
  targets,
}: {
  readonly fault: Fault;
  readonly targets: Targets;
}): Promise<void> {
  const { workers, postgres, redis } = targets;
  const worker = workers[index];
  if (worker === undefined) throw new RangeError('no such worker');
  switch (kind) {
    case 'kill':
      await worker.end('SIGKILL');
      await wait(forMs);
      return worker.start();
    case 'deploy':
      await worker.end('SIGTERM');
      return worker.start();
    case 'freeze':
      worker.signal('SIGSTOP');
      await wait(forMs);
      return worker.signal('SIGCONT');
    case 'silent_redis':
      return worker.redis.silence();
    case 'silent_postgres':
      return worker.postgres.silence();
    case 'clock_ahead':
    case 'clock_behind':
      await worker.end('SIGTERM');
      await worker.start({ stepMs });
      await wait(forMs);
      await worker.end('SIGTERM');
      return worker.start();
    case 'redis_crash':
    case 'redis_old_copy':
      await redis.kill();
      if (kind === 'redis_old_copy') await redis.layCopy();
      await wait(forMs);
      await redis.start();
      return redis.keepCopy();
    case 'redis_flush':
      return redis.flush();
    case 'postgres_fast':
    case 'postgres_immediate':
      await postgres.stop(kind === 'postgres_fast' ? 'fast' : 'immediate');
      await wait(forMs);
      await postgres.start();
      return redis.keepCopy();
  }
}
