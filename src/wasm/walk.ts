/*
 * The second pass: the listed tokens through the grammar.
 */

import { AFTER_ELEMENT, AFTER_MEMBER, AFTER_STRING, CLOSES, DONE, MARKS, NEVER, OPENS, TOP, VALUE } from './grammar';
import { FAULT_DEPTH, FAULT_JSON, FAULT_NONE, GRAMMAR, NESTING_MAX, QUOTE, STACK, TOKENS, TOLD_DEPTH, WINDOW } from './layout';
import { START, walkScalar } from './scalars';
import { Scan } from './scan';
import { isTold, tell, tellEnd, tellString } from './tell';

export function walkTokens(length: i32): void {
  let here = Scan.state;
  let open = Scan.depth;
  for (let token = TOKENS; token < Scan.tokensEnd; token += 2) {
    const at = <i32>load<u16>(token);
    const byte = <i32>load<u8>(WINDOW + at);
    const row = byte == QUOTE ? AFTER_STRING + <i32>load<u8>(WINDOW + at, 1) : byte;
    const next = <i32>load<u16>(GRAMMAR + here + (row << 1));
    if ((next & MARKS) == 0) {
      if (next == NEVER) {
        Scan.fault = FAULT_JSON;
        return;
      }
      if (open <= TOLD_DEPTH && byte == QUOTE) tellString(here, open, at);
      here = next;
    } else if ((next & OPENS) != 0) {
      if (open >= NESTING_MAX) {
        Scan.fault = FAULT_DEPTH;
        return;
      }
      if (isTold(open)) tell(byte, open, at, at + 1);
      // Behind it the container that it stands in goes on.
      store<u16>(STACK + (open << 1), here == VALUE ? AFTER_MEMBER : here == TOP ? DONE : AFTER_ELEMENT);
      open += 1;
      here = next & ~MARKS;
    } else if ((next & CLOSES) != 0) {
      open -= 1;
      here = load<u16>(STACK + (open << 1));
      if (isTold(open)) tellEnd(byte, open, at, at + 1);
    } else {
      Scan.scalar = START;
      Scan.scalarAt = at;
      walkScalar(at, length, open);
      if (Scan.fault != FAULT_NONE) return;
      here = next & ~MARKS;
    }
  }
  Scan.state = here;
  Scan.depth = open;
}
