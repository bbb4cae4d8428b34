import { describe, expect, test } from 'vitest';
import { readEnvironment } from '../../src/config.ts';
import { parseRedisUrl } from '../../src/contract/redis-address.ts';

const NOBODY = { username: null, password: null };

describe('the URL of a Redis', () => {
  test.each([
    'redis://127.0.0.1:6379',
    'rediss://user:p%40ss@redis.example:6380/3',
    'redis://:secret@redis:6379',
    'redis://[::1]:6379',
  ])('names one server: %s', (url) => {
    expect(parseRedisUrl(url)).toEqual({ kind: 'single', url });
  });

  test('names a Cluster by some of its nodes', () => {
    expect(parseRedisUrl('redis+cluster://a:7001,b,[fe80::1]:7003')).toEqual({
      kind: 'cluster',
      nodes: [
        { host: 'a', port: 7_001 },
        { host: 'b', port: 6_379 },
        { host: 'fe80::1', port: 7_003 },
      ],
      ...NOBODY,
      tls: false,
    });
    expect(parseRedisUrl('rediss+cluster://worker:p%3A%2Fss@a:7001/0')).toMatchObject({
      username: 'worker',
      password: 'p:/ss',
      tls: true,
    });
  });

  test('names a master by its Sentinels', () => {
    expect(parseRedisUrl('redis+sentinel://:secret@s1,s2:26380/main')).toEqual({
      kind: 'sentinel',
      nodes: [
        { host: 's1', port: 26_379 },
        { host: 's2', port: 26_380 },
      ],
      master: 'main',
      db: 0,
      sentinelPassword: null,
      username: null,
      password: 'secret',
      tls: false,
    });
    expect(parseRedisUrl('rediss+sentinel://s1/main/2?sentinelPassword=of%20theirs')).toMatchObject({
      db: 2,
      sentinelPassword: 'of theirs',
      tls: true,
    });
  });

  test.each([
    '',
    'localhost:6379',
    'http://redis:6379',
    'redis://a:1,b:2',
    'redis+cluster://',
    'redis+cluster://a:7001,',
    'redis+cluster://a:70000',
    'redis+cluster://a:0',
    'redis+cluster://a/1',
    'redis+cluster://a?sentinelPassword=x',
    'redis+cluster://%zz@a:1',
    'redis+cluster://a b:1',
    'redis+sentinel://s1:26379',
    'redis+sentinel://s1/',
    'redis+sentinel://s1/main/x',
    'redis+sentinel://s1/main/9999',
    'redis+tls://a',
    `redis+cluster://${Array.from({ length: 65 }, (_, index) => `n${index}`).join(',')}`,
  ])('is refused: %s', (url) => {
    expect(parseRedisUrl(url)).toBeNull();
  });

  test('that is refused is named by its setting and not shown: there is a password in it', () => {
    for (const url of [
      'redis+cluster://user:canary-secret@a:70000',
      'redis+sentinel://:canary-secret@s1',
      'x://canary-secret',
    ]) {
      expect(() => readEnvironment({ REDIS_URL: url })).toThrow(
        expect.objectContaining({
          code: 'config_invalid',
          field: expect.stringMatching(/^REDIS_URL (?!.*canary)/),
          message: expect.not.stringContaining('canary'),
        }),
      );
    }
    expect(readEnvironment({ REDIS_URL: 'redis+cluster://a,b,c', QUEUE_SHARDS: '12' })).toMatchObject({
      QUEUE_SHARDS: 12,
    });
  });

  test.each(['0', '257', 'many', '1.5'])('QUEUE_SHARDS=%s is refused by name', (value) => {
    expect(() => readEnvironment({ QUEUE_SHARDS: value })).toThrow(
      expect.objectContaining({ field: expect.stringContaining('QUEUE_SHARDS') }),
    );
  });
});
