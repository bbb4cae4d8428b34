import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Vault } from '../../../src/core/ports/vault.ts';
import { BINDING, newId, PLAIN } from './samples.ts';

export function sealsContract(use: () => Vault): void {
  test('what is sealed opens to the same bytes, and is another ciphertext each time', async () => {
    const key = await use().create(newId());
    for (const bytes of [PLAIN, Buffer.alloc(0), randomBytes(1_000_000)]) {
      const [one, two] = [key.seal({ ...BINDING, bytes }), key.seal({ ...BINDING, bytes })];
      expect(Buffer.compare(key.unseal({ ...BINDING, sealed: one }), bytes)).toBe(0);
      expect(Buffer.compare(one, two)).not.toBe(0);
      if (bytes.byteLength > 0) expect(Buffer.from(one).includes(bytes)).toBe(false);
    }
  });

  test('a sealed value does not open for another authorization, purpose or context', async () => {
    const [key, other] = [await use().create(newId()), await use().create(newId())];
    const sealed = key.seal({ ...BINDING, bytes: PLAIN });
    const refused = { code: 'unseal_failed' };
    expect(() => other.unseal({ ...BINDING, sealed })).toThrow(expect.objectContaining(refused));
    expect(() => key.unseal({ ...BINDING, purpose: 'pack', sealed })).toThrow(expect.objectContaining(refused));
    expect(() => key.unseal({ ...BINDING, context: '8', sealed })).toThrow(expect.objectContaining(refused));
    expect(() => key.unseal({ ...BINDING, context: '', sealed })).toThrow(expect.objectContaining(refused));
    expect(Buffer.compare(key.unseal({ ...BINDING, sealed }), PLAIN)).toBe(0);
  });

  test('a sealed value with any byte changed, cut or added does not open', async () => {
    const key = await use().create(newId());
    const sealed = key.seal({ ...BINDING, bytes: PLAIN });
    const refused = expect.objectContaining({ code: 'unseal_failed' });
    for (let index = 0; index < sealed.byteLength; index += 1) {
      const tampered = new Uint8Array(sealed);
      tampered[index] = (tampered[index] ?? 0) ^ 1;
      expect(() => key.unseal({ ...BINDING, sealed: tampered })).toThrow(refused);
      expect(() => key.unseal({ ...BINDING, sealed: sealed.subarray(0, index) })).toThrow(refused);
    }
    expect(() => key.unseal({ ...BINDING, sealed: Buffer.concat([sealed, Buffer.of(0)]) })).toThrow(refused);
  });

  test('a keyed hash is the same for the same key, purpose and bytes only, and 16 bytes long', async () => {
    const vault = use();
    const id = newId();
    const [key, again, other] = [await vault.create(id), await vault.open(id), await vault.create(newId())];
    const value = { purpose: 'resource', bytes: 'ab' };
    expect(key.mac(value)).toBe(again.mac({ ...value, bytes: Buffer.from('ab') }));
    expect(Buffer.from(key.mac(value), 'base64url')).toHaveLength(16);
    const others = [
      other.mac(value),
      key.mac({ ...value, bytes: 'abc' }),
      key.mac({ purpose: 'resourcea', bytes: 'b' }),
      key.mac({ purpose: 'request', bytes: 'ab' }),
    ];
    expect(new Set([...others, key.mac(value)]).size).toBe(5);
  });
}
