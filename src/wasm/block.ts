/*
 * The first pass over one block: what its strings hold, and the list of its tokens.
 */

import { checkEscapes, escapedBy } from './escapes';
import { FAULT_JSON, FAULT_UTF8, OPENINGS, WINDOW } from './layout';
import { BACKSLASHES, bits, blank, control, isAny, LOW_HALF, operator, prefixXor, QUOTES } from './masks';
import { Scan } from './scan';
import { isUtf8 } from './utf8';

/** Reads `width` bytes from `at` on: 64, or fewer at the end of the window. */
export function readBlock(at: i32, width: i32): void {
  const block = WINDOW + at;
  const valid: u64 = width == 64 ? ~(<u64>0) : ((<u64>1) << width) - 1;
  const a = v128.load(block);
  const b = v128.load(block, 16);
  const c = v128.load(block, 32);
  const d = v128.load(block, 48);

  const slash = v128.load(BACKSLASHES);
  const isA = i8x16.eq(a, slash);
  const isB = i8x16.eq(b, slash);
  const isC = i8x16.eq(c, slash);
  const isD = i8x16.eq(d, slash);
  let escaped: u64 = 0;
  if (isAny(isA, isB, isC, isD) || (Scan.isEscaped | Scan.hexOwed) != 0) {
    escaped = escapedBy(bits(isA, isB, isC, isD) & valid, width) & valid;
    if (escaped != 0) Scan.lastEscape = at + 63 - <i32>clz(escaped);
    checkEscapes(block, escaped, width);
    Scan.hasEscapes = true;
  }

  const quote = v128.load(QUOTES);
  const allQuotes = bits(i8x16.eq(a, quote), i8x16.eq(b, quote), i8x16.eq(c, quote), i8x16.eq(d, quote));
  const quotes = allQuotes & ~escaped & valid;
  // From each opening quote on, up to the closing quote and without it.
  const strings = prefixXor(quotes) ^ Scan.inString;
  Scan.inString = -((strings >> (width - 1)) & 1);
  store<u64>(OPENINGS + (at >> 3), quotes & strings);
  const closings = quotes & ~strings;

  const controlA = control(a);
  const controlB = control(b);
  const controlC = control(c);
  const controlD = control(d);
  if (isAny(controlA, controlB, controlC, controlD)) {
    if ((bits(controlA, controlB, controlC, controlD) & strings & valid) != 0) Scan.fault = FAULT_JSON;
  }

  const isHigh = i8x16.bitmask(v128.or(v128.or(a, b), v128.or(c, d))) != 0;
  if ((isHigh || Scan.wasHigh) && !isUtf8(block, valid)) Scan.fault = FAULT_UTF8;
  Scan.wasHigh = isHigh;

  const lowHalf = v128.load(LOW_HALF);
  const lowA = v128.and(a, lowHalf);
  const lowB = v128.and(b, lowHalf);
  const lowC = v128.and(c, lowHalf);
  const lowD = v128.and(d, lowHalf);
  const blanks = bits(blank(a, lowA), blank(b, lowB), blank(c, lowC), blank(d, lowD));
  const operators = bits(operator(a, lowA), operator(b, lowB), operator(c, lowC), operator(d, lowD));
  const scalars = ~(strings | quotes | blanks | operators) & valid;
  const scalarStarts = scalars & ~((scalars << 1) | Scan.inScalar);
  Scan.inScalar = (scalars >> (width - 1)) & 1;
  // Of the operators only brackets and braces have the bit 0x40; doubled it is the one that `bits` looks at.
  const brackets = bits(i8x16.add(a, a), i8x16.add(b, b), i8x16.add(c, c), i8x16.add(d, d));
  const taken = ~brackets & ((closings << 1) | Scan.hasClosed);
  Scan.hasClosed = closings >> 63;
  listTokens(((operators & ~strings & ~taken) | closings | scalarStarts) & valid, at);
}

/** Most blocks have up to eight tokens: to write eight, also where there are fewer, costs less than to ask. */
// @ts-ignore: decorator
@inline
function listTokens(tokens: u64, at: i32): void {
  let rest = tokens;
  let to = Scan.tokensEnd;
  Scan.tokensEnd += <i32>popcnt(tokens) << 1;
  rest = listFour(rest, at, to);
  rest = listFour(rest, at, to + 8);
  while (rest != 0) {
    to += 16;
    rest = listFour(rest, at, to);
    rest = listFour(rest, at, to + 8);
  }
}

/** Lists four tokens, or places behind them where there are fewer; returns the rest. */
// @ts-ignore: decorator
@inline
function listFour(tokens: u64, at: i32, to: i32): u64 {
  let rest = tokens;
  store<u16>(to, at + <i32>ctz(rest));
  rest &= rest - 1;
  store<u16>(to, at + <i32>ctz(rest), 2);
  rest &= rest - 1;
  store<u16>(to, at + <i32>ctz(rest), 4);
  rest &= rest - 1;
  store<u16>(to, at + <i32>ctz(rest), 6);
  return rest & (rest - 1);
}
