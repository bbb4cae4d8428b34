/*
 * Backslashes in strings.
 */

import { FAULT_JSON, LETTER_U } from './layout';
import { Scan } from './scan';

/** Which bytes are escaped by a backslash: those behind an odd number of them. */
export function escapedBy(backslashes: u64, width: i32): u64 {
  const EVEN: u64 = 0x5555555555555555;
  const escaping = backslashes & ~Scan.isEscaped;
  const follows = (escaping << 1) | Scan.isEscaped;
  const oddStarts = escaping & ~EVEN & ~follows;
  const escaped = (EVEN ^ ((oddStarts + escaping) << 1)) & follows;
  Scan.isEscaped = ((escaping & ~escaped) >> (width - 1)) & 1;
  return escaped;
}

export function checkEscapes(block: i32, escaped: u64, width: i32): void {
  checkHex(block, 0, width);
  for (let rest = escaped; rest != 0; rest &= rest - 1) {
    const i = <i32>ctz(rest);
    const byte = <i32>load<u8>(block + i);
    if (byte == LETTER_U) {
      Scan.hexOwed = 4;
      checkHex(block, i + 1, width);
    } else if (!isShortEscape(byte)) Scan.fault = FAULT_JSON;
  }
}

function checkHex(block: i32, from: i32, width: i32): void {
  for (let i = from; Scan.hexOwed > 0 && i < width; i += 1) {
    const byte = <i32>load<u8>(block + i);
    const letter = byte | 0x20;
    if (!((byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x66))) Scan.fault = FAULT_JSON;
    Scan.hexOwed -= 1;
  }
}

/** " \ / b f n r t */
function isShortEscape(byte: i32): bool {
  if (byte == 0x22 || byte == 0x5c || byte == 0x2f) return true;
  return byte == 0x62 || byte == 0x66 || byte == 0x6e || byte == 0x72 || byte == 0x74;
}
