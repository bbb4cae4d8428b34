/*
 * Numbers and the literals true, false and null, byte by byte.
 */

import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  FAULT_JSON,
  OPEN_ARRAY,
  OPEN_OBJECT,
  PART_SCALAR,
  QUOTE,
  SCALARS,
  WINDOW,
} from './layout';
import { Scan } from './scan';
import { isTold, tellEnd } from './tell';

export const SCALAR_NONE: i32 = 0;
export const START: i32 = 1;
const MINUS: i32 = 2;
const DOT: i32 = 3;
const EXPONENT: i32 = 4;
const SIGN: i32 = 5;
/** The letters of true, false and null before the last one have the states from here on. */
const LETTERS: i32 = 6;
/** In states from here on the number or literal may end. */
const ENDS_FROM: i32 = 16;
const ZERO: i32 = 16;
const INTEGER: i32 = 17;
const FRACTION: i32 = 18;
const POWER: i32 = 19;
const LITERAL: i32 = 20;
const SCALAR_ENDED: i32 = 21;

function scalarStep(from: i32, byte: i32, to: i32): void {
  store<u8>(SCALARS + (from << 8) + byte, to);
}

function digitSteps(from: i32, first: i32, to: i32): void {
  for (let byte = first; byte <= 0x39; byte += 1) scalarStep(from, byte, to);
}

function exponentSteps(from: i32): void {
  scalarStep(from, 0x65, EXPONENT);
  scalarStep(from, 0x45, EXPONENT);
}

/** The word's letters as the bytes of one number, the first one lowest. */
function wordSteps(letters: u64, length: i32, first: i32): void {
  let from = START;
  for (let i = 0; i < length; i += 1) {
    const to = i == length - 1 ? LITERAL : first + i;
    scalarStep(from, <i32>(letters >> (i << 3)) & 0xff, to);
    from = to;
  }
}

/** What may stand behind a number or literal; a quote may not, but that is the grammar's to say. */
function endSteps(byte: i32): void {
  for (let from = ENDS_FROM; from <= LITERAL; from += 1) scalarStep(from, byte, SCALAR_ENDED);
}

export function fillScalars(): void {
  scalarStep(START, 0x2d, MINUS);
  scalarStep(START, 0x30, ZERO);
  scalarStep(MINUS, 0x30, ZERO);
  digitSteps(START, 0x31, INTEGER);
  digitSteps(MINUS, 0x31, INTEGER);
  digitSteps(INTEGER, 0x30, INTEGER);
  scalarStep(ZERO, 0x2e, DOT);
  scalarStep(INTEGER, 0x2e, DOT);
  digitSteps(DOT, 0x30, FRACTION);
  digitSteps(FRACTION, 0x30, FRACTION);
  exponentSteps(ZERO);
  exponentSteps(INTEGER);
  exponentSteps(FRACTION);
  scalarStep(EXPONENT, 0x2b, SIGN);
  scalarStep(EXPONENT, 0x2d, SIGN);
  digitSteps(EXPONENT, 0x30, POWER);
  digitSteps(SIGN, 0x30, POWER);
  digitSteps(POWER, 0x30, POWER);
  wordSteps(0x65757274, 4, LETTERS); // true
  wordSteps(0x65736c6166, 5, LETTERS + 3); // false
  wordSteps(0x6c6c756e, 4, LETTERS + 7); // null
  endSteps(0x20);
  endSteps(0x09);
  endSteps(0x0a);
  endSteps(0x0d);
  endSteps(QUOTE);
  endSteps(COLON);
  endSteps(COMMA);
  endSteps(OPEN_OBJECT);
  endSteps(CLOSE_OBJECT);
  endSteps(OPEN_ARRAY);
  endSteps(CLOSE_ARRAY);
}

/** Reads a number or literal from `from` on, to its end or to that of the window. */
export function walkScalar(from: i32, length: i32, level: i32): void {
  for (let at = from; at < length; at += 1) {
    Scan.scalar = load<u8>(SCALARS + (Scan.scalar << 8) + load<u8>(WINDOW + at));
    if (Scan.scalar == SCALAR_NONE) {
      Scan.fault = FAULT_JSON;
      return;
    }
    if (Scan.scalar == SCALAR_ENDED) {
      Scan.scalar = SCALAR_NONE;
      if (isTold(level)) tellEnd(PART_SCALAR, level, Scan.scalarAt, at);
      return;
    }
  }
}
