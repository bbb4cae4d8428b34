/*
 * What the caller is told.
 */

import { KEY, KEY_OR_END } from './grammar';
import { LIST_DEPTH, OPENINGS, PART_BYTES, PART_KEY, QUOTE, TOLD_DEPTH } from './layout';
import { NAME_NONE, NAME_UNKNOWN, nameEndingAt } from './names';
import { Scan } from './scan';

/** All down to the elements of a list; below them only members with a name that matters: one in five, and the caller is slow. */
// @ts-ignore: decorator
@inline
export function isTold(level: i32): bool {
  return level <= LIST_DEPTH || (level <= TOLD_DEPTH && ((Scan.wanted >> level) & 1) != 0);
}

/** A string that closes there, as a key or as a value. */
export function tellString(here: i32, level: i32, closing: i32): void {
  if (here == KEY || here == KEY_OR_END) tellKey(level, closing);
  else if (isTold(level)) tellEnd(QUOTE, level, openingOf(closing), closing + 1);
}

function tellKey(level: i32, closing: i32): void {
  if (level == TOLD_DEPTH && !isTold(level - 1)) return;
  let name = level <= LIST_DEPTH ? NAME_UNKNOWN : nameEndingAt(closing, level);
  if (name == NAME_NONE && Scan.hasEscapes && Scan.lastEscape > openingOf(closing)) name = NAME_UNKNOWN;
  Scan.wanted &= ~(1 << level);
  if (name == NAME_NONE) return;
  Scan.wanted |= 1 << level;
  tell(PART_KEY | (name << 16), level, openingOf(closing), closing + 1);
}

/** The last part of a value. */
export function tellEnd(part: i32, level: i32, from: i32, to: i32): void {
  tell(part, level, from, to);
  Scan.wanted &= ~(1 << level);
}

/** Where the string was opened that closes there. */
export function openingOf(closing: i32): i32 {
  let block = closing >> 6;
  let openings = load<u64>(OPENINGS + (block << 3)) & (((<u64>1) << (closing & 63)) - 1);
  while (openings == 0) {
    block -= 1;
    if (block < 0) return Scan.opened;
    openings = load<u64>(OPENINGS + (block << 3));
  }
  return (block << 6) + 63 - <i32>clz(openings);
}

export function tell(part: i32, level: i32, from: i32, to: i32): void {
  store<i32>(Scan.partsEnd, part | (level << 8));
  store<i32>(Scan.partsEnd, from, 4);
  store<i32>(Scan.partsEnd, to, 8);
  Scan.partsEnd += PART_BYTES;
}
