import { isIP } from 'node:net';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, test } from 'vitest';
import { isPublicAddress } from '../../src/adapters/upstream/addresses.ts';
import { PUBLIC_ADDRESSES, REFUSED } from './address-classes.ts';

describe('an address', () => {
  test.each(Object.entries(REFUSED))('is not of the public internet: %s', (_, addresses) => {
    expect(addresses.filter((address) => isIP(address) === 0)).toEqual([]);
    expect(addresses.filter(isPublicAddress)).toEqual([]);
  });

  test.each(PUBLIC_ADDRESSES)('is of the public internet: %s', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test.each(['', 'payer.example', '127.1', '0x7f000001', '8.8.8.8.', ' 8.8.8.8', '[2606:4700::1111]', '8.8.8.8/32'])(
    'is none at all, and so not of the public internet: "%s"',
    (text) => {
      expect(isPublicAddress(text)).toBe(false);
    },
  );

  test('control: the library alone takes these for public ones', () => {
    const alone = (address: string) => ipaddr.process(address).range() === 'unicast';
    const missed = Object.values(REFUSED).flatMap((addresses) => addresses.filter(alone));
    // What the rest of our rule is for; where the list gets shorter, so may the rule.
    expect(missed).toEqual([
      '4000::1',
      '1::1',
      'fe00::1',
      '100:0:0:1::1',
      '168.63.129.16',
      '::ffff:168.63.129.16',
      '::a00:1',
      '::8.8.8.8',
    ]);
  });
});

describe('any address', () => {
  const v4 = fc.ipV4();

  test('of IPv4 is judged the same in the dress of IPv6', () => {
    const dressed = (address: string) => [`::ffff:${address}`, `64:ff9b::${address}`];
    fc.assert(fc.property(v4, (one) => dressed(one).every((other) => isPublicAddress(other) === isPublicAddress(one))));
  });

  test('is never public where its IPv4 is carried by a tunnel', () => {
    const hex = (address: string) =>
      ipaddr.IPv4.parse(address).toIPv4MappedAddress().parts.slice(-2).map(toHex).join(':');
    const toHex = (part: number) => part.toString(16);
    const tunnels = (address: string) => [`::${address}`, `2002:${hex(address)}::1`, `2001:0:${hex(address)}::1`];
    fc.assert(fc.property(v4, (one) => !tunnels(one).some(isPublicAddress)));
  });

  test('outside 2000::/3 is not public unless it carries an IPv4', () => {
    const parts = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 });
    const outside = parts.filter(([first = 0]) => first >> 13 !== 1 && first !== 0 && first !== 0x64);
    fc.assert(fc.property(outside, (all) => !isPublicAddress(all.map((part) => part.toString(16)).join(':'))));
  });

  test('and any text gets an answer', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.ipV6()), (text) => typeof isPublicAddress(text) === 'boolean'));
  });
});
