import type { Place } from './changes.ts';
import { PerennialError } from './errors.ts';

/** What a pull notes about a resource. */
export const MARK = { SEEN: 1, ADDED: 2, MODIFIED: 4 } as const;
export type Mark = (typeof MARK)[keyof typeof MARK];

/** All columns of a table, in the order of its rows. `hashes` stand one behind the other, {@link HASH_CHARS} each; `packs` counts into `packNames`. */
export type PlaceColumns = {
  readonly ids: readonly string[];
  readonly hashes: string;
  readonly packNames: readonly string[];
  readonly packs: readonly number[];
  readonly offsets: readonly number[];
  readonly lengths: readonly number[];
};

/**
 * Where the resources of one type lie, by id. A row costs some 130 bytes, its id included; a Map of objects and three Sets took 580, and a record of 300 MB
 * has 227,000 of them (measured).
 */
export type PlaceTable = {
  readonly size: () => number;
  readonly rowOf: (id: string) => number | undefined;
  readonly placeAt: (row: number) => Place;
  /** Whether the row's resource has this keyed hash. */
  readonly holds: (row: number, hash: string) => boolean;
  /** Adds or overwrites; the marks of a row stay. Returns its number. */
  readonly put: (id: string, place: Place) => number;
  readonly remove: (id: string) => boolean;
  readonly mark: (row: number, mark: Mark) => void;
  readonly isMarked: (row: number, mark: Mark) => boolean;
  /** The ids with a mark, or those without it. */
  readonly idsWhere: (mark: Mark, isSet: boolean) => string[];
  readonly entries: () => Generator<readonly [string, Place]>;
  /** How many bytes of each pack the rows refer to. */
  readonly bytesByPack: () => ReadonlyMap<string, number>;
  readonly columns: () => PlaceColumns;
};

/** The characters of a keyed hash. */
export const HASH_CHARS = 22;
const FIRST_ROWS = 16;

type Columns = {
  readonly hashes: Uint8Array;
  readonly packs: Uint32Array;
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  readonly marks: Uint8Array;
};

/** An empty table, or the table of some columns. @throws PerennialError `unseal_failed` for columns that do not fit together. */
export function createPlaceTable(from?: PlaceColumns): PlaceTable {
  const rows = new Map<string, number>();
  const packNames: string[] = [];
  const packNumbers = new Map<string, number>();
  let columns = newColumns(Math.max(FIRST_ROWS, from?.ids.length ?? 0));
  let used = 0;
  const numberOf = (pack: string): number => {
    const known = packNumbers.get(pack);
    if (known !== undefined) return known;
    packNumbers.set(pack, packNames.length);
    return packNames.push(pack) - 1;
  };
  const placeAt = (row: number): Place => ({
    hash: String.fromCharCode(...columns.hashes.subarray(row * HASH_CHARS, (row + 1) * HASH_CHARS)),
    pack: packNames[columns.packs[row] ?? -1] ?? '',
    offset: columns.offsets[row] ?? 0,
    length: columns.lengths[row] ?? 0,
  });
  const put = (id: string, { hash, pack, offset, length }: Place): number => {
    if (hash.length !== HASH_CHARS) throw new PerennialError('internal', { field: 'hash' });
    const row = rows.get(id) ?? used;
    if (row === used) {
      if (used === columns.packs.length) columns = grown(columns);
      rows.set(id, row);
      used += 1;
    }
    for (let at = 0; at < HASH_CHARS; at += 1) columns.hashes[row * HASH_CHARS + at] = hash.charCodeAt(at);
    columns.packs[row] = numberOf(pack);
    columns.offsets[row] = offset;
    columns.lengths[row] = length;
    return row;
  };
  if (from !== undefined) used = fill({ from, rows, columns, numberOf });
  return {
    size: () => rows.size,
    rowOf: (id) => rows.get(id),
    placeAt,
    holds: (row, hash) => isHash({ hashes: columns.hashes, row, hash }),
    put,
    // The row stays empty: a pull removes few, and the next one begins with a table made anew.
    remove: (id) => rows.delete(id),
    mark: (row, mark) => {
      columns.marks[row] = (columns.marks[row] ?? 0) | mark;
    },
    isMarked: (row, mark) => isMarked(columns, row, mark),
    idsWhere: (mark, isSet) => idsWhere({ rows, columns, mark, isSet }),
    entries: () => entriesOf({ rows, placeAt }),
    bytesByPack: () => bytesByPack({ rows, columns, packNames }),
    columns: () => columnsOf({ rows, columns, packNames }),
  };
}

function idsWhere({
  rows,
  columns,
  mark,
  isSet,
}: {
  readonly rows: ReadonlyMap<string, number>;
  readonly columns: Columns;
  readonly mark: Mark;
  readonly isSet: boolean;
}): string[] {
  const ids: string[] = [];
  for (const [id, row] of rows) if (isMarked(columns, row, mark) === isSet) ids.push(id);
  return ids;
}

function* entriesOf({
  rows,
  placeAt,
}: {
  readonly rows: ReadonlyMap<string, number>;
  readonly placeAt: PlaceTable['placeAt'];
}): Generator<readonly [string, Place]> {
  for (const [id, row] of rows) yield [id, placeAt(row)] as const;
}

function isHash({
  hashes,
  row,
  hash,
}: {
  readonly hashes: Uint8Array;
  readonly row: number;
  readonly hash: string;
}): boolean {
  const start = row * HASH_CHARS;
  for (let at = 0; at < HASH_CHARS; at += 1) if (hashes[start + at] !== hash.charCodeAt(at)) return false;
  return hash.length === HASH_CHARS;
}

function isMarked({ marks }: Columns, row: number, mark: Mark): boolean {
  return ((marks[row] ?? 0) & mark) !== 0;
}

function newColumns(capacity: number): Columns {
  return {
    hashes: new Uint8Array(capacity * HASH_CHARS),
    packs: new Uint32Array(capacity),
    offsets: new Uint32Array(capacity),
    lengths: new Uint32Array(capacity),
    marks: new Uint8Array(capacity),
  };
}

function grown(columns: Columns): Columns {
  const larger = newColumns(2 * columns.packs.length);
  larger.hashes.set(columns.hashes);
  larger.packs.set(columns.packs);
  larger.offsets.set(columns.offsets);
  larger.lengths.set(columns.lengths);
  larger.marks.set(columns.marks);
  return larger;
}

/** All rows at once: hash by hash it takes a tenth of a pull that changes nothing. Gives how many there are. */
function fill({
  from: { ids, hashes, packNames, packs, offsets, lengths },
  rows,
  columns,
  numberOf,
}: {
  readonly from: PlaceColumns;
  readonly rows: Map<string, number>;
  readonly columns: Columns;
  readonly numberOf: (pack: string) => number;
}): number {
  const { written } = new TextEncoder().encodeInto(hashes, columns.hashes);
  if (written !== ids.length * HASH_CHARS || hashes.length !== written) throw new PerennialError('unseal_failed');
  const numbers = packNames.map(numberOf);
  for (const [row, id] of ids.entries()) {
    const pack = numbers[packs[row] ?? -1];
    const offset = offsets[row];
    const length = lengths[row];
    if (pack === undefined || offset === undefined || length === undefined) throw new PerennialError('unseal_failed');
    rows.set(id, row);
    columns.packs[row] = pack;
    columns.offsets[row] = offset;
    columns.lengths[row] = length;
  }
  if (rows.size !== ids.length) throw new PerennialError('unseal_failed');
  return ids.length;
}

function bytesByPack({
  rows,
  columns,
  packNames,
}: {
  readonly rows: ReadonlyMap<string, number>;
  readonly columns: Columns;
  readonly packNames: readonly string[];
}): ReadonlyMap<string, number> {
  const bytes = new Float64Array(packNames.length);
  for (const row of rows.values()) {
    const pack = columns.packs[row] ?? 0;
    bytes[pack] = (bytes[pack] ?? 0) + (columns.lengths[row] ?? 0);
  }
  return new Map(packNames.map((name, index) => [name, bytes[index] ?? 0]));
}

function columnsOf({
  rows,
  columns,
  packNames,
}: {
  readonly rows: ReadonlyMap<string, number>;
  readonly columns: Columns;
  readonly packNames: readonly string[];
}): PlaceColumns {
  const order = [...rows.values()];
  const numbers = (column: Uint32Array) => order.map((row) => column[row] ?? 0);
  const hashes = new Uint8Array(order.length * HASH_CHARS);
  for (const [index, row] of order.entries()) {
    hashes.set(columns.hashes.subarray(row * HASH_CHARS, (row + 1) * HASH_CHARS), index * HASH_CHARS);
  }
  return {
    ids: [...rows.keys()],
    hashes: textOf(hashes),
    packNames,
    packs: numbers(columns.packs),
    offsets: numbers(columns.offsets),
    lengths: numbers(columns.lengths),
  };
}

/** Characters of one call: each is an argument, and there is room for some 100,000 of them. */
const CHARS_AT_ONCE = 8_192;

function textOf(characters: Uint8Array): string {
  const pieces: string[] = [];
  for (let at = 0; at < characters.length; at += CHARS_AT_ONCE) {
    pieces.push(String.fromCharCode(...characters.subarray(at, at + CHARS_AT_ONCE)));
  }
  return pieces.join('');
}
