import { afterEach, describe, expect, test, vi } from 'vitest';
import { assertRedisKeeps } from '../../src/adapters/queue/redis-policy.ts';
import { codeOf } from '../../src/core/errors.ts';

const told = vi.hoisted((): { info: (() => Promise<string>) | null; readonly redises: Set<object> } => ({
  info: null,
  redises: new Set(),
}));

// In memory, since a real Redis cannot be told to evict without harm to whatever else uses it.
vi.mock('ioredis', async () => {
  const { default: RedisMock } = await import('ioredis-mock');
  class Redis extends RedisMock {
    constructor(url: string, options: object) {
      super(url, options);
      if (told.info !== null) this.info = told.info;
      told.redises.add(this);
    }
    /** Commands of the mock go through no socket, and so not through here. */
    override sendCommand(): void {}
    override disconnect(): void {
      super.disconnect();
      told.redises.delete(this);
    }
  }
  return { Redis, Cluster: class {} };
});

const url = 'redis://:canary-password@127.0.0.1:6379';
const options = { address: { kind: 'single', url }, connectTimeoutMs: 1_000 } as const;
const info = (policy: string): string =>
  `# Memory\r\nused_memory:1\r\nmaxmemory_policy:${policy}\r\nmem_allocator:jemalloc\r\n`;

/** Whatever the answer was, the connection has been given back. */
afterEach(() => {
  expect([...told.redises]).toEqual([]);
  told.info = null;
});

async function refusal(): Promise<unknown> {
  return assertRedisKeeps(options).then(
    () => 'kept',
    (error: unknown) => error,
  );
}

describe('the eviction policy of Redis', () => {
  test('may be what a fresh Redis has, noeviction', async () => {
    expect(await refusal()).toBe('kept');
  });

  test('may be hidden, as some managed servers do', async () => {
    told.info = async () => '# Memory\r\nused_memory:1\r\n';
    expect(await refusal()).toBe('kept');
  });

  test.each(['allkeys-lru', 'allkeys-lfu', 'volatile-lru', 'volatile-ttl', 'allkeys-random', 'noeviction2'])(
    'is refused when it is %s',
    async (policy) => {
      told.info = async () => info(policy);
      expect(codeOf(await refusal())).toBe('queue_evicts');
    },
  );

  test('that nobody tells is named by the setting, without address or password', async () => {
    told.info = () => Promise.reject(new Error(`NOAUTH ${url}`));
    const error = await refusal();
    expect(codeOf(error)).toBe('queue_unreachable');
    expect(String(error)).toContain('REDIS_URL');
    expect(String(error)).not.toMatch(/canary|127\.0\.0\.1/);
  });
});
