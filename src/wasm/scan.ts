/*
 * What one step knows of the steps before it. All but the last group is carried on from window to window and, by `save` and
 * `restore` in json-scanner.ts, from chunk to chunk.
 */

/** Global variables; a class only because a module may not change those of another one. */
export class Scan {
  static fault: i32 = 0;
  static depth: i32 = 0;
  static state: i32 = 0;
  /** All ones inside a string. */
  static inString: u64 = 0;
  /** 1 where the next byte stands behind a backslash that escapes it. */
  static isEscaped: u64 = 0;
  /** 1 where the last byte belongs to a number or literal. */
  static inScalar: u64 = 0;
  /** Hex digits that a \u is still owed. */
  static hexOwed: i32 = 0;
  /** Where in a number or literal we are; SCALAR_NONE outside. */
  static scalar: i32 = 0;
  /** Whether the last block had bytes from 0x80 on: its last character may not be whole. */
  static wasHigh: bool = false;
  /** The places of the last opening quote, number or literal, and escaped byte, from the start of the window; negative before it. */
  static opened: i32 = 0;
  static scalarAt: i32 = 0;
  static lastEscape: i32 = 0;
  /** For each depth a bit: set behind the name of a member that matters, until the end of its value. */
  static wanted: i32 = 0;

  // Within one window:
  /** 1 where the last byte was a closing quote: it has taken a colon or comma behind it along. */
  static hasClosed: u64 = 0;
  /** Whether an escape may stand in a key: in this window, or in the string that it begins in. */
  static hasEscapes: bool = false;
  static tokensEnd: i32 = 0;
  static partsEnd: i32 = 0;
}
