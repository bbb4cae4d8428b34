import { SCANNER_WASM } from './json-scanner-wasm.ts';

/**
 * Called for each part: what it is, the containers open around it, its place `from` in the stream and the place behind it. A
 * container has two parts, an opening and a closing one. A key that is plainly one of {@link NAMES} has its number, others 0.
 */
export type OnPart = (part: number, depth: number, from: number, to: number, name: number) => void;

/** What a part is; brackets and braces are told by their bytes. */
export const PART = { KEY: 0x3a, STRING: 0x22, SCALAR: 0x30 } as const;

/** The members that are told three and four containers deep, by their numbers. */
export const NAMES = ['', 'resource', 'relation', 'url', 'code', 'resourceType', 'id'] as const;

export type ScanFault = 'not_json' | 'not_utf8' | 'too_deep';

/** Reads one JSON value in pieces of any size. */
export type JsonScanner = {
  /** The next bytes. After a fault nothing more is scanned. */
  readonly scan: (bytes: Uint8Array, onPart: OnPart) => ScanFault | undefined;
  /** No bytes follow: what is wrong with the value as a whole. */
  readonly end: () => ScanFault | undefined;
  /** Where the key, string, number or literal began that is under way and may be told; the next place where none is. */
  readonly openAt: () => number;
};

/** What src/wasm/json-scanner.ts exports. */
type Wasm = {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly scan: (length: number) => number;
  readonly reset: () => void;
  readonly faultMet: () => number;
  readonly isDone: () => number;
  readonly openAt: () => number;
  readonly save: () => void;
  readonly restore: () => void;
} & { readonly [name in 'WINDOW' | 'WINDOW_BYTES' | 'PARTS' | 'STATE' | 'STATE_BYTES']: { readonly value: number } };

/** As far as we use it; TypeScript has its types in the library for browsers only. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Wasm };
};

const FAULTS: readonly (ScanFault | undefined)[] = [undefined, 'not_json', 'not_utf8', 'too_deep'];
/** What it is, with its depth and name above it; its place; the place behind it. */
const PART_NUMBERS = 3;
const BYTE_ORDER_MARK = Uint8Array.of(0xef, 0xbb, 0xbf);
/** Ends a number and an unfinished character, and changes nothing else. */
const BLANK = Uint8Array.of(0x20);

// One instance for all pages: each would reserve gigabytes of addresses, and who scans does so without a pause in between.
const wasm = new WebAssembly.Instance(
  new WebAssembly.Module(Uint8Array.from(atob(SCANNER_WASM), (byte) => byte.charCodeAt(0))),
).exports;
const { buffer } = wasm.memory;
const window = new Uint8Array(buffer, wasm.WINDOW.value, wasm.WINDOW_BYTES.value);
const parts = new Int32Array(buffer, wasm.PARTS.value);
const state = new Uint8Array(buffer, wasm.STATE.value, wasm.STATE_BYTES.value);

/** What the instance carries on belongs to this scanner, until another one takes its turn. */
let turn: { readonly saved: Uint8Array } | undefined;

/**
 * A strict scanner of JSON (RFC 8259, in UTF-8, nested at most 512 deep) that stops and goes on at any byte. It refuses all
 * that `JSON.parse` refuses, at the latest when it ends; a byte order mark before the value is passed over. It tells of what
 * lies near the surface only: all that has at most two containers around it, with three and four the members that are, or may
 * be, called by one of {@link NAMES}. Parts are told in their order when they have ended, as the grammar allows them; colons
 * and commas are not. `onPart` must not scan anything itself.
 */
export function createJsonScanner(): JsonScanner {
  const own = { saved: new Uint8Array(state.length) };
  let base = 0;
  /** How many bytes of a byte order mark have been seen; all of them also where there is none. */
  let marks = 0;
  if (turn !== undefined) putBy(turn);
  turn = own;
  wasm.reset();

  const scanOn = (bytes: Uint8Array, onPart: OnPart): ScanFault | undefined => {
    takeTurn(own);
    for (let at = 0; at < bytes.length && wasm.faultMet() === 0; at += window.length) {
      const part = bytes.length > window.length ? bytes.subarray(at, at + window.length) : bytes;
      window.set(part);
      const count = wasm.scan(part.length) * PART_NUMBERS;
      for (let i = 0; i < count; i += PART_NUMBERS) {
        const what = parts[i] ?? 0;
        onPart(what & 0xff, (what >> 8) & 0xff, base + (parts[i + 1] ?? 0), base + (parts[i + 2] ?? 0), what >> 16);
      }
      base += part.length;
    }
    return FAULTS[wasm.faultMet()];
  };
  const scan = (bytes: Uint8Array, onPart: OnPart): ScanFault | undefined => {
    let at = 0;
    while (marks < BYTE_ORDER_MARK.length && at < bytes.length) {
      if (bytes[at] !== BYTE_ORDER_MARK[marks]) return scanUnmarked(bytes.subarray(at), onPart);
      at += 1;
      marks += 1;
      if (marks === BYTE_ORDER_MARK.length) base = marks;
    }
    return scanOn(bytes.subarray(at), onPart);
  };
  /** The first bytes are no whole byte order mark: what looked like one is content. */
  const scanUnmarked = (bytes: Uint8Array, onPart: OnPart): ScanFault | undefined => {
    const looked = BYTE_ORDER_MARK.subarray(0, marks);
    marks = BYTE_ORDER_MARK.length;
    return scanOn(looked, onPart) ?? scanOn(bytes, onPart);
  };

  return {
    scan,
    end: () => scan(BLANK, () => undefined) ?? (wasm.isDone() === 0 ? 'not_json' : undefined),
    openAt: () => {
      takeTurn(own);
      return base + wasm.openAt();
    },
  };
}

function takeTurn(next: { readonly saved: Uint8Array }): void {
  if (turn === next) return;
  if (turn !== undefined) putBy(turn);
  turn = next;
  state.set(next.saved);
  wasm.restore();
}

function putBy({ saved }: { readonly saved: Uint8Array }): void {
  wasm.save();
  saved.set(state);
}
