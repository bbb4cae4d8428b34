import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createCodec } from '../../src/adapters/system/codec.ts';

const codec = createCodec();
const maxBytes = 1_000_000;

describe('the codec of packs', () => {
  test.each([
    ['nothing', new Uint8Array()],
    ['one byte', Uint8Array.of(7)],
    ['text', Buffer.from('{"resourceType":"Patient"}'.repeat(1_000))],
    ['noise', randomBytes(100_000)],
  ])('gives back %s as it was', async (_, bytes) => {
    const opened = await codec.expand({ bytes: await codec.compress(bytes), maxBytes });
    expect(Buffer.from(opened).equals(Buffer.from(bytes))).toBe(true);
  });

  test('makes resources that resemble each other a tenth of their size or less', async () => {
    const resource = (index: number) =>
      `{"resourceType":"Observation","id":"o-${index}","status":"final","code":{"text":"Heart rate"}}`;
    const bytes = Buffer.from(Array.from({ length: 1_000 }, (_, index) => resource(index)).join('\n'));
    expect((await codec.compress(bytes)).length).toBeLessThan(bytes.length / 10);
  });

  test.each([
    ['what is not zstd', Buffer.from('canary-record')],
    ['gzip', gzipSync('canary-record')],
    ['nothing at all', new Uint8Array()],
  ])('refuses %s with unseal_failed and no other text', async (_, bytes) => {
    await expect(codec.expand({ bytes, maxBytes })).rejects.toMatchObject({
      code: 'unseal_failed',
      message: 'A sealed value does not open: wrong key or altered bytes',
    });
  });

  test('refuses a frame that was cut short', async () => {
    const whole = await codec.compress(Buffer.from('canary'.repeat(10_000)));
    await expect(codec.expand({ bytes: whole.subarray(0, whole.length - 5), maxBytes })).rejects.toMatchObject({
      code: 'unseal_failed',
    });
  });

  test('refuses a bomb at its limit, and takes one byte less', async () => {
    const bomb = await codec.compress(new Uint8Array(2_000_000));
    expect(bomb.length).toBeLessThan(1_000);
    await expect(codec.expand({ bytes: bomb, maxBytes: 1_999_999 })).rejects.toMatchObject({ code: 'unseal_failed' });
    expect(await codec.expand({ bytes: bomb, maxBytes: 2_000_000 })).toHaveLength(2_000_000);
  });
});
