/*
 * Where things lie in the memory, and the bytes that JSON is made of.
 */

// What the caller needs to know, and reads from here: where the window, the parts and the state lie in the memory.
export const STATE: i32 = 1024;
export const STATE_BYTES: i32 = 1024 + 128;
export const WINDOW: i32 = 64 * 1024;
export const WINDOW_BYTES: i32 = 16 * 1024;
/** Three numbers of four bytes for each part that is told: what it is, with its depth and name above it; its place; the place behind it. */
export const PARTS: i32 = 192 * 1024;
export const PART_BYTES: i32 = 12;

/** Objects and arrays open at one place. */
export const NESTING_MAX: i32 = 512;
/** For each container that is open, two bytes: how the grammar goes on behind it. Lies in the state. */
export const STACK: i32 = STATE;
/** Behind the stack: the variables below, while another page is scanned. */
export const CARRIED: i32 = STATE + 2 * NESTING_MAX;
/** The end of the window before this one, right in front of it: characters may lie across. */
export const HISTORY_BYTES: i32 = 16;
/** Vectors that each block needs. */
export const CONSTANTS: i32 = 4 * 1024;
/** For each block of the window, eight bytes: its opening quotes. */
export const OPENINGS: i32 = 8 * 1024;
/** The next steps for each state of the grammar, and for each state of a number or literal. */
export const GRAMMAR: i32 = 16 * 1024;
export const SCALARS: i32 = 32 * 1024;
/** Two bytes for each token: its place in the window. */
export const TOKENS: i32 = 96 * 1024;

export const FAULT_NONE: i32 = 0;
export const FAULT_JSON: i32 = 1;
export const FAULT_UTF8: i32 = 2;
export const FAULT_DEPTH: i32 = 3;

/** What lies this deep is all told: the page, its members, the elements of lists among them. */
export const LIST_DEPTH: i32 = 2;
/** Of what lies this deep some is told: the members of those elements and of a resource in them. */
export const TOLD_DEPTH: i32 = 4;
/** What a part is: a bracket or brace by its byte, a string by its quote, a key by a colon, a number or literal by this. */
export const PART_KEY: i32 = 0x3a;
export const PART_SCALAR: i32 = 0x30;
/** A string this long is refused: places are numbers of 32 bits, and JSON.parse cannot hold it either. */
export const FAR: i32 = 1 << 30;

export const QUOTE: i8 = 0x22;
export const BACKSLASH: i8 = 0x5c;
export const COLON: i8 = 0x3a;
export const COMMA: i8 = 0x2c;
export const OPEN_OBJECT: i8 = 0x7b;
export const CLOSE_OBJECT: i8 = 0x7d;
export const OPEN_ARRAY: i8 = 0x5b;
export const CLOSE_ARRAY: i8 = 0x5d;
export const BLANK: i8 = 0x20;
export const LETTER_U: i8 = 0x75;
