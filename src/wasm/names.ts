/*
 * The names that matter inside of a list's elements, found by the bytes that end them.
 */

import { TOLD_DEPTH, WINDOW } from './layout';

// Numbers of names, as the caller knows them; 0 is a name that only the caller can read, for it may have escapes.
export const NAME_UNKNOWN: i32 = 0;
export const NAME_NONE: i32 = -1;
const NAME_RESOURCE: i32 = 1;
const NAME_RELATION: i32 = 2;
const NAME_URL: i32 = 3;
const NAME_CODE: i32 = 4;
const NAME_RESOURCE_TYPE: i32 = 5;
const NAME_ID: i32 = 6;

/**
 * The number of the name whose key ends with the quote at `closing`; NAME_NONE for all others. The sixteen bytes before the
 * window are at hand, and the longest key has fourteen with its quotes: it need not lie in the window.
 */
export function nameEndingAt(closing: i32, level: i32): i32 {
  const end = WINDOW + closing + 1;
  if (level == TOLD_DEPTH) {
    if (load<u32>(end - 4) == 0x22646922) return NAME_ID; // "id"
    if (load<u64>(end - 8) != 0x2265707954656372) return NAME_NONE; // rceType"
    return load<u64>(end - 14) == 0x6372756f73657222 ? NAME_RESOURCE_TYPE : NAME_NONE; // "resourc
  }
  const last = load<u64>(end - 8);
  if (last == 0x22656372756f7365) return load<u16>(end - 10) == 0x7222 ? NAME_RESOURCE : NAME_NONE; // esource" and "r
  if (last == 0x226e6f6974616c65) return load<u16>(end - 10) == 0x7222 ? NAME_RELATION : NAME_NONE; // elation" and "r
  if (last >> 24 == 0x226c727522) return NAME_URL; // "url"
  return last >> 16 == 0x2265646f6322 ? NAME_CODE : NAME_NONE; // "code"
}
