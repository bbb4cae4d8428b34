/*
 * Whether bytes are UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629).
 */

import { bits } from './masks';

// What can be wrong with two neighbouring bytes.
/** A lead byte without its continuation. */
const SHORT: i8 = 1 << 0;
/** A continuation behind ASCII. */
const LONG: i8 = 1 << 1;
const OVERLONG_3: i8 = 1 << 2;
/** Above U+10FFFF, in the second byte or, with LARGE_1000, in the first; four bytes where three would do share its bit. */
const LARGE: i8 = 1 << 3;
const SURROGATE: i8 = 1 << 4;
const OVERLONG_2: i8 = 1 << 5;
const LARGE_1000: i8 = 1 << 6;
/** Two continuations: right only where a third or fourth byte is due. */
const TWO: i8 = -128;
const ANY: i8 = SHORT | LONG | TWO;
const OVER: i8 = ANY | LARGE | LARGE_1000;

/**
 * Bytes that are not UTF-8, in sixteen bytes. Each byte is looked at together with the one before it: three tables, by the
 * halves of both, agree on a bit only where the pair is wrong; the highest bit is no fault where a third or fourth byte is due.
 */
function notUtf8(at: i32): v128 {
  const bytes = v128.load(at);
  const before = v128.load(at - 1);
  const byHighBefore = i8x16.swizzle(
    i8x16(
      LONG, LONG, LONG, LONG, LONG, LONG, LONG, LONG, TWO, TWO, TWO, TWO,
      SHORT | OVERLONG_2, SHORT, SHORT | OVERLONG_3 | SURROGATE, SHORT | LARGE | LARGE_1000,
    ),
    i8x16.shr_u(before, 4),
  );
  const byLowBefore = i8x16.swizzle(
    i8x16(
      ANY | OVERLONG_3 | OVERLONG_2 | LARGE_1000, ANY | OVERLONG_2, ANY, ANY, ANY | LARGE, OVER, OVER, OVER,
      OVER, OVER, OVER, OVER, OVER, OVER | SURROGATE, OVER, OVER,
    ),
    v128.and(before, i8x16.splat(0x0f)),
  );
  const byHigh = i8x16.swizzle(
    i8x16(
      SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT,
      LONG | OVERLONG_2 | TWO | OVERLONG_3 | LARGE_1000, LONG | OVERLONG_2 | TWO | OVERLONG_3 | LARGE,
      LONG | OVERLONG_2 | TWO | SURROGATE | LARGE, LONG | OVERLONG_2 | TWO | SURROGATE | LARGE,
      SHORT, SHORT, SHORT, SHORT,
    ),
    i8x16.shr_u(bytes, 4),
  );
  const third = i8x16.sub_sat_u(v128.load(at - 2), i8x16.splat(0x60)); // from 0xe0 on
  const fourth = i8x16.sub_sat_u(v128.load(at - 3), i8x16.splat(0x70)); // from 0xf0 on
  const due = v128.and(v128.or(third, fourth), i8x16.splat(TWO));
  return v128.xor(v128.and(v128.and(byHighBefore, byLowBefore), byHigh), due);
}

/** Whether the bytes of one block are UTF-8, as far as it goes. */
export function isUtf8(block: i32, valid: u64): bool {
  const zero = i8x16.splat(0);
  const wrong = bits(
    i8x16.ne(notUtf8(block), zero),
    i8x16.ne(notUtf8(block + 16), zero),
    i8x16.ne(notUtf8(block + 32), zero),
    i8x16.ne(notUtf8(block + 48), zero),
  );
  return (wrong & valid) == 0;
}
