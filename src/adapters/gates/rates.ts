import {
  type IRateLimiterOptions,
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
} from 'rate-limiter-flexible';
import type { GateRedis } from './redis-states.ts';

/** Counts requests against so many per minute. */
export type Rates = {
  /** Spends one; 0, or how long to wait before asking again. */
  readonly spend: (key: string, perMinute: number) => Promise<number>;
  /** How long nothing is left; spends nothing. */
  readonly look: (key: string, perMinute: number) => Promise<number>;
};

const MINUTE_S = 60;
/** A window may give up to a twentieth of the rate, so that it can be short: what comes at once is at most one window's share. */
const SHARE_OF_RATE_MIN = 0.95;

/** The shortest window of whole seconds that lets through nearly the whole rate. Over any minute that gives the rate and one window's share at most. */
export function windowOf(perMinute: number): { readonly points: number; readonly seconds: number } {
  for (let seconds = 1; seconds < MINUTE_S; seconds += 1) {
    const points = Math.floor((perMinute * seconds) / MINUTE_S);
    if (points >= 1 && points * MINUTE_S >= SHARE_OF_RATE_MIN * perMinute * seconds) return { points, seconds };
  }
  return { points: Math.max(1, Math.floor(perMinute)), seconds: MINUTE_S };
}

/** Rates over all workers in Redis, or of this process where there is none or it is away. */
export function createRates({ redis, prefix }: { readonly redis: GateRedis | null; readonly prefix: string }): Rates {
  const limiters = new Map<number, RateLimiterAbstract>();
  const limiterOf = (perMinute: number): RateLimiterAbstract => {
    const limiter = limiters.get(perMinute) ?? createLimiter({ redis, prefix, perMinute });
    limiters.set(perMinute, limiter);
    return limiter;
  };
  return {
    spend: async (key, perMinute) => {
      const limiter = limiterOf(perMinute);
      try {
        await limiter.consume(`{${key}}`);
        return 0;
      } catch (refused) {
        return refused instanceof RateLimiterRes ? waitOf({ refused, ahead: refused.consumedPoints, limiter }) : 0;
      }
    },
    look: async (key, perMinute) => {
      const limiter = limiterOf(perMinute);
      const used = await limiter.get(`{${key}}`).catch(() => null);
      if (used === null || used.consumedPoints < limiter.points) return 0;
      return waitOf({ refused: used, ahead: used.consumedPoints + 1, limiter });
    },
  };
}

/** Who finds the window used up waits for the one in which those before it have had theirs. */
function waitOf({
  refused,
  ahead,
  limiter: { points, duration },
}: {
  readonly refused: RateLimiterRes;
  readonly ahead: number;
  readonly limiter: RateLimiterAbstract;
}): number {
  const windows = Math.max(0, Math.ceil(ahead / points) - 2);
  return Math.max(1, refused.msBeforeNext) + windows * duration * 1_000;
}

function createLimiter({
  redis,
  prefix,
  perMinute,
}: {
  readonly redis: GateRedis | null;
  readonly prefix: string;
  readonly perMinute: number;
}): RateLimiterAbstract {
  const { points, seconds } = windowOf(perMinute);
  const options: IRateLimiterOptions = { points, duration: seconds, keyPrefix: `${prefix}:rate:${perMinute}` };
  const own = new RateLimiterMemory(options);
  if (redis === null) return own;
  return new RateLimiterRedis({ ...options, storeClient: redis, insuranceLimiter: own, rejectIfRedisNotReady: true });
}
