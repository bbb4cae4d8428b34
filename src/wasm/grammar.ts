/*
 * Which token may follow which, as a table.
 */

import { CLOSE_ARRAY, CLOSE_OBJECT, COLON, COMMA, GRAMMAR, OPEN_ARRAY, OPEN_OBJECT } from './layout';

/** A state is the place of its row of steps: what follows each byte, and then what follows a string, by the byte behind it. */
const ROW_BYTES: i32 = 1024;
export const AFTER_STRING: i32 = 0x100;
export const NEVER: i32 = 0;
export const TOP: i32 = 1 * ROW_BYTES;
export const DONE: i32 = 2 * ROW_BYTES;
export const KEY_OR_END: i32 = 3 * ROW_BYTES;
export const KEY: i32 = 4 * ROW_BYTES;
const COLON_DUE: i32 = 5 * ROW_BYTES;
export const VALUE: i32 = 6 * ROW_BYTES;
export const AFTER_MEMBER: i32 = 7 * ROW_BYTES;
const ELEMENT_OR_END: i32 = 8 * ROW_BYTES;
const ELEMENT: i32 = 9 * ROW_BYTES;
export const AFTER_ELEMENT: i32 = 10 * ROW_BYTES;

/** A step is the next state, with one of these where the token opens or closes a container, or starts a number or literal. */
export const OPENS: i32 = 1;
export const CLOSES: i32 = 2;
const IS_SCALAR: i32 = 4;
export const MARKS: i32 = 7;

function step(from: i32, token: i32, to: i32): void {
  store<u16>(GRAMMAR + from + (token << 1), to);
}

/** A colon or comma behind a string is taken along: the step goes on to the state behind it. */
function stringSteps(from: i32, to: i32): void {
  for (let next = 0; next < 256; next += 1) step(from, AFTER_STRING + next, to);
  step(from, AFTER_STRING + COLON, stepOf(to, COLON));
  step(from, AFTER_STRING + COMMA, stepOf(to, COMMA));
}

function stepOf(from: i32, token: i32): i32 {
  return load<u16>(GRAMMAR + from + (token << 1));
}

/** Whatever is no token by itself starts a number or literal, and is refused there if it is none. */
function valueSteps(from: i32, after: i32): void {
  for (let byte = 0; byte < 256; byte += 1) step(from, byte, after | IS_SCALAR);
  stringSteps(from, after);
  step(from, OPEN_OBJECT, KEY_OR_END | OPENS);
  step(from, OPEN_ARRAY, ELEMENT_OR_END | OPENS);
  step(from, CLOSE_OBJECT, NEVER);
  step(from, CLOSE_ARRAY, NEVER);
  step(from, COLON, NEVER);
  step(from, COMMA, NEVER);
}

export function fillGrammar(): void {
  // The state behind a closed container is the one that was put by when it was opened.
  step(AFTER_ELEMENT, CLOSE_ARRAY, CLOSES);
  step(AFTER_ELEMENT, COMMA, ELEMENT);
  step(AFTER_MEMBER, CLOSE_OBJECT, CLOSES);
  step(AFTER_MEMBER, COMMA, KEY);
  step(COLON_DUE, COLON, VALUE);
  // Only now, for a string takes over the steps of the state behind it.
  valueSteps(TOP, DONE);
  valueSteps(VALUE, AFTER_MEMBER);
  valueSteps(ELEMENT, AFTER_ELEMENT);
  valueSteps(ELEMENT_OR_END, AFTER_ELEMENT);
  step(ELEMENT_OR_END, CLOSE_ARRAY, CLOSES);
  stringSteps(KEY, COLON_DUE);
  stringSteps(KEY_OR_END, COLON_DUE);
  step(KEY_OR_END, CLOSE_OBJECT, CLOSES);
}
