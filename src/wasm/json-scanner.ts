/*
 * The inner loop of the bundle slicer: JSON, validated strictly, 64 bytes at a time. AssemblyScript, because only WebAssembly
 * has SIMD; `npm run wasm` compiles it into src/core/json-scanner-wasm.ts, and a test holds the two together.
 *
 * The method is simdjson's (Langdale and Lemire, "Parsing Gigabytes of JSON per Second"; Keiser and Lemire, "Validating
 * UTF-8 In Less Than One Instruction Per Byte"), made to stop and go on at any byte: all that one window must know of the
 * windows before it lies in the variables under "What is carried on".
 *
 * The first pass turns each block of sixty-four bytes into masks, one bit for each byte. Masks tell which bytes lie in strings,
 * check what strings hold, and leave one bit for each token: a brace, bracket, colon or comma, the closing quote of a string,
 * the first byte of a number or literal. The places of the tokens are listed. A colon or comma that follows a string at
 * once is no token of its own: in FHIR half of all would be.
 *
 * The second pass takes the listed tokens through the grammar and tells the caller of what lies near the surface. Two passes
 * are faster than one: how many tokens a block has cannot be foreseen, and a loop over each block would be mispredicted.
 */

export { PARTS, PART_BYTES, STATE, STATE_BYTES, WINDOW, WINDOW_BYTES } from './layout';

import { readBlock } from './block';
import { DONE, fillGrammar, TOP } from './grammar';
import {
  BLANK,
  CARRIED,
  FAR,
  FAULT_JSON,
  FAULT_NONE,
  HISTORY_BYTES,
  PARTS,
  PART_BYTES,
  TOKENS,
  TOLD_DEPTH,
  WINDOW,
} from './layout';
import { fillConstants } from './masks';
import { fillScalars, SCALAR_NONE, walkScalar } from './scalars';
import { Scan } from './scan';
import { openingOf } from './tell';
import { walkTokens } from './walk';

/** Scans the first `length` bytes of the window, one at least; returns how many parts it tells of. */
export function scan(length: i32): i32 {
  Scan.tokensEnd = TOKENS;
  Scan.partsEnd = PARTS;
  Scan.hasClosed = 0;
  Scan.hasEscapes = Scan.isEscaped != 0 || (Scan.inString != 0 && Scan.lastEscape > Scan.opened);
  // A string at the end takes nothing along: what comes next is not known yet.
  store<u8>(WINDOW + length, BLANK);
  for (let at = 0; at < length && Scan.fault == FAULT_NONE; at += 64) readBlock(at, min(length - at, 64));
  if (Scan.fault != FAULT_NONE) return 0;
  if (Scan.scalar != SCALAR_NONE) walkScalar(0, length, Scan.depth);
  if (Scan.fault == FAULT_NONE) walkTokens(length);
  carryOn(length);
  return (Scan.partsEnd - PARTS) / PART_BYTES;
}

/** Places count from the start of the next window from here on. */
function carryOn(length: i32): void {
  Scan.opened = max(openingOf(length) - length, -FAR);
  Scan.scalarAt = max(Scan.scalarAt - length, -FAR);
  Scan.lastEscape = max(Scan.lastEscape - length, -FAR);
  const from = openAt();
  if (from == -FAR) Scan.fault = FAULT_JSON;
  v128.store(WINDOW - HISTORY_BYTES, v128.load(WINDOW + length - HISTORY_BYTES));
}

/** Ready for a new page. */
export function reset(): void {
  Scan.fault = FAULT_NONE;
  Scan.depth = 0;
  Scan.state = TOP;
  Scan.inString = 0;
  Scan.isEscaped = 0;
  Scan.hexOwed = 0;
  Scan.inScalar = 0;
  Scan.scalar = SCALAR_NONE;
  Scan.wasHigh = false;
  Scan.opened = -1;
  Scan.scalarAt = -1;
  Scan.lastEscape = -1;
  Scan.wanted = 0;
  v128.store(WINDOW - HISTORY_BYTES, i8x16.splat(0));
}

export function faultMet(): i32 {
  return Scan.fault;
}

/** Whether one whole value has been read, and nothing else. */
export function isDone(): bool {
  return Scan.state == DONE && Scan.inString == 0 && Scan.scalar == SCALAR_NONE;
}

/** The place of the string, number or literal that is open at the end of the window, as deep as is told; 0 where none is. */
export function openAt(): i32 {
  if (Scan.depth > TOLD_DEPTH) return 0;
  if (Scan.scalar != SCALAR_NONE) return Scan.scalarAt;
  return Scan.inString != 0 ? Scan.opened : 0;
}

/** Puts all that is carried on into the memory at STATE, for another page to be scanned in between; the stack lies there already. */
export function save(): void {
  store<u64>(CARRIED, Scan.inString);
  store<u64>(CARRIED, Scan.isEscaped, 8);
  store<u64>(CARRIED, Scan.inScalar, 16);
  store<i32>(CARRIED, Scan.fault, 24);
  store<i32>(CARRIED, Scan.depth, 28);
  store<i32>(CARRIED, Scan.state, 32);
  store<i32>(CARRIED, Scan.hexOwed, 36);
  store<i32>(CARRIED, Scan.scalar, 40);
  store<i32>(CARRIED, <i32>Scan.wasHigh, 44);
  store<i32>(CARRIED, Scan.opened, 48);
  store<i32>(CARRIED, Scan.scalarAt, 52);
  store<i32>(CARRIED, Scan.lastEscape, 56);
  store<i32>(CARRIED, Scan.wanted, 60);
  v128.store(CARRIED, v128.load(WINDOW - HISTORY_BYTES), 64);
}

/** Takes up again what `save` has put by. */
export function restore(): void {
  Scan.inString = load<u64>(CARRIED);
  Scan.isEscaped = load<u64>(CARRIED, 8);
  Scan.inScalar = load<u64>(CARRIED, 16);
  Scan.fault = load<i32>(CARRIED, 24);
  Scan.depth = load<i32>(CARRIED, 28);
  Scan.state = load<i32>(CARRIED, 32);
  Scan.hexOwed = load<i32>(CARRIED, 36);
  Scan.scalar = load<i32>(CARRIED, 40);
  Scan.wasHigh = load<i32>(CARRIED, 44) != 0;
  Scan.opened = load<i32>(CARRIED, 48);
  Scan.scalarAt = load<i32>(CARRIED, 52);
  Scan.lastEscape = load<i32>(CARRIED, 56);
  Scan.wanted = load<i32>(CARRIED, 60);
  v128.store(WINDOW - HISTORY_BYTES, v128.load(CARRIED, 64));
}

fillConstants();
fillGrammar();
fillScalars();
reset();
