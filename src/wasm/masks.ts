/*
 * Sixty-four bytes as masks: what each byte is, one bit for each.
 */

import { BACKSLASH, CLOSE_OBJECT, COLON, COMMA, CONSTANTS, OPEN_OBJECT, QUOTE } from './layout';

/** The highest bit of each byte. */
// @ts-ignore: decorator
@inline
export function bits(a: v128, b: v128, c: v128, d: v128): u64 {
  const low = i8x16.bitmask(a) | (i8x16.bitmask(b) << 16);
  const high = i8x16.bitmask(c) | (i8x16.bitmask(d) << 16);
  return <u64>(<u32>low) | ((<u64>(<u32>high)) << 32);
}

// @ts-ignore: decorator
@inline
export function isAny(a: v128, b: v128, c: v128, d: v128): bool {
  return v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)));
}

// Constants lie in memory, because V8 builds one anew wherever it is used, in four instructions: seen a third faster for it.
export const QUOTES: i32 = CONSTANTS;
export const BACKSLASHES: i32 = CONSTANTS + 16;
export const LOW_HALF: i32 = CONSTANTS + 32;
const CURLY: i32 = CONSTANTS + 48;
const NO_CONTROL: i32 = CONSTANTS + 64;
const BLANKS: i32 = CONSTANTS + 80;
const OPERATORS: i32 = CONSTANTS + 96;

export function fillConstants(): void {
  v128.store(QUOTES, i8x16.splat(QUOTE));
  v128.store(BACKSLASHES, i8x16.splat(BACKSLASH));
  v128.store(LOW_HALF, i8x16.splat(0x0f));
  v128.store(CURLY, i8x16.splat(0x20));
  v128.store(NO_CONTROL, i8x16.splat(-32));
  v128.store(BLANKS, i8x16(0x20, 100, 100, 100, 17, 100, 113, 2, 100, 9, 10, 112, 100, 13, 100, 100));
  v128.store(OPERATORS, i8x16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, COLON, OPEN_OBJECT, COMMA, CLOSE_OBJECT, 0, 0));
}

// A relaxed swizzle is the same everywhere for indices under sixteen, and ours are; a strict one costs an instruction more.

/** All ones where the byte is white space: `low`, the low half of a byte, says which blank it must be if it is one. */
// @ts-ignore: decorator
@inline
export function blank(bytes: v128, low: v128): v128 {
  return i8x16.eq(bytes, i8x16.relaxed_swizzle(v128.load(BLANKS), low));
}

/** The same for { } [ ] : and comma, with brackets and braces made one; it takes two control characters for some too. */
// @ts-ignore: decorator
@inline
export function operator(bytes: v128, low: v128): v128 {
  return i8x16.eq(v128.or(bytes, v128.load(CURLY)), i8x16.relaxed_swizzle(v128.load(OPERATORS), low));
}

/** All ones where the byte is under 0x20. */
// @ts-ignore: decorator
@inline
export function control(bytes: v128): v128 {
  return i8x16.eq(v128.and(bytes, v128.load(NO_CONTROL)), i8x16.splat(0));
}

/** Bit i says whether an odd number of bits is set from 0 to i: between quotes. */
// @ts-ignore: decorator
@inline
export function prefixXor(quotes: u64): u64 {
  let x = quotes ^ (quotes << 1);
  x ^= x << 2;
  x ^= x << 4;
  x ^= x << 8;
  x ^= x << 16;
  return x ^ (x << 32);
}
