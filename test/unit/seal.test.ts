import { CompactEncrypt, decodeProtectedHeader } from 'jose';
import { describe, expect, test } from 'vitest';
import { createIntakeKey, createOpener, publicJwkSchema, sealRequest } from '../../src/adapters/intake/seal.ts';
import { CANARIES, requestOf } from '../support/fake-service.ts';

const key = await createIntakeKey();
const old = await createIntakeKey();
const open = createOpener({
  privateJwks: [key, old].map(({ kid, privateJwk }) => ({ kid, jwk: privateJwk })),
});
const seal = (plain: string | Uint8Array, header: { alg: string; enc: string; kid?: string; zip?: string }) =>
  new CompactEncrypt(typeof plain === 'string' ? new TextEncoder().encode(plain) : plain)
    .setProtectedHeader(header)
    .encrypt(key.publicJwk);
const fit = { alg: 'ECDH-ES', enc: 'A256GCM', kid: key.kid };

test('what is sealed opens to the same request and shows nothing meanwhile', async () => {
  const jwe = await sealRequest({ request: requestOf('s-1'), publicJwk: key.publicJwk });
  expect(decodeProtectedHeader(jwe)).toMatchObject({ ...fit, epk: { kty: 'OKP', crv: 'X25519' } });
  const visible = jwe.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'));
  for (const canary of CANARIES) expect(visible.join('')).not.toContain(canary);
  expect(await open(jwe)).toEqual(requestOf('s-1'));
});

test('the same request sealed twice looks different each time', async () => {
  const value = { request: requestOf('s-1'), publicJwk: key.publicJwk };
  expect(await sealRequest(value)).not.toBe(await sealRequest(value));
});

test('after a rotation, what was sealed to the old key still opens', async () => {
  expect(await open(await sealRequest({ request: requestOf('s-2'), publicJwk: old.publicJwk }))).toMatchObject({
    id: 's-2',
  });
});

describe('what does not open is refused as unreadable, without a word on why', () => {
  const cases: readonly [string, () => Promise<string> | string][] = [
    [
      'an unknown key',
      async () => sealRequest({ request: requestOf('s'), publicJwk: (await createIntakeKey()).publicJwk }),
    ],
    ['no kid', () => seal('{}', { alg: 'ECDH-ES', enc: 'A256GCM' })],
    ['another alg', () => seal('{}', { ...fit, alg: 'ECDH-ES+A256KW' })],
    ['another enc', () => seal('{}', { ...fit, enc: 'A128GCM' })],
    ['compression', () => seal('{}', { ...fit, zip: 'DEF' })],
    ['no JSON', () => seal('canary', fit)],
    ['no UTF-8', () => seal(new Uint8Array([0x22, 0xff, 0x22]), fit)],
    ['no JWE', () => 'canary'],
    ['too long a one', () => 'a'.repeat(200_000)],
    [
      'an altered byte',
      async () => {
        const parts = (await seal('{"canary":1}', fit)).split('.');
        parts[3] = `${parts[3]?.startsWith('A') ? 'B' : 'A'}${parts[3]?.slice(1)}`;
        return parts.join('.');
      },
    ],
  ];
  test.each(cases)('%s', async (_name, make) => {
    const failure = await open(await make()).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'sealed_request_unreadable', field: undefined });
    expect(failure).not.toHaveProperty('cause');
  });
});

test('a sealed request that does not fit the contract is refused by field', async () => {
  const jwe = await seal(JSON.stringify({ ...requestOf('s'), usage: 'canary' }), fit);
  const failure = await open(jwe).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'invalid_request', field: expect.stringMatching(/^usage must be one of/) });
  expect(String(failure)).not.toContain('canary');
});

test('keys of another kind, and requests beyond the limit, are refused before anything is sealed', async () => {
  const request = requestOf('s');
  const publicJwk = { ...key.publicJwk, x: 'canary' };
  await expect(sealRequest({ request, publicJwk })).rejects.toMatchObject({
    code: 'config_invalid',
    field: 'workerKey',
  });
  expect(() => createOpener({ privateJwks: [{ kid: 'k', jwk: { ...key.privateJwk, d: '' } }] })).toThrow(
    /configuration/,
  );
  const name = 'x'.repeat(70_000);
  await expect(
    sealRequest({ request: { ...request, endpoint: { id: 'e', name } }, publicJwk: key.publicJwk }),
  ).rejects.toMatchObject({ code: 'body_too_large' });
});

test('a private part never passes for public', () => {
  expect(publicJwkSchema.parse({ ...key.privateJwk, kid: key.kid })).toEqual(key.publicJwk);
});
