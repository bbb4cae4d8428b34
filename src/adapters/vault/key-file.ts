import { hash } from 'node:crypto';

/**
 * What is in a key file: records one behind the other, of which the last whole one counts. A new wrap of the same key is appended, and what stood before it
 * is wiped when it is on the disk; so a write that breaks off leaves the former record, and of two writers at once neither touches what only the other has.
 */
export type KeyRecord = {
  readonly authorizationId: string;
  readonly wrapped: Uint8Array;
  /** Where it begins. */
  readonly at: number;
  /** Something stands before it: a former wrap, or part of one, that is still to be wiped. */
  readonly unfinished: boolean;
};

/** Eight bytes that stand at no other place: a former file begins with 1. */
const MAGIC = Buffer.from('PRNLKEY2', 'latin1');
const CHECKSUM_BYTES = 32;
const HEADER_BYTES = MAGIC.byteLength + 4;
/** A former file is a bare wrap: version 1, length and name of the key, nonce, 32 bytes, tag. */
const FORMER = { version: 1, bytesBesideName: 2 + 12 + 32 + 16 } as const;

/** One record: magic, the lengths, owner, wrapped key, checksum over all of it. */
export function encodeRecord({
  authorizationId,
  wrapped,
}: {
  readonly authorizationId: string;
  readonly wrapped: Uint8Array;
}): Buffer {
  const owner = Buffer.from(authorizationId, 'utf8');
  const lengths = Buffer.alloc(HEADER_BYTES - MAGIC.byteLength);
  lengths.writeUInt16BE(owner.byteLength, 0);
  lengths.writeUInt16BE(wrapped.byteLength, 2);
  const body = Buffer.concat([MAGIC, lengths, owner, wrapped]);
  return Buffer.concat([body, checksumOf(body)]);
}

/** The last whole record, or null when there is none. */
export function lastRecord(bytes: Buffer): KeyRecord | null {
  for (let at = bytes.lastIndexOf(MAGIC); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(MAGIC, at - 1)) {
    const record = recordAt(bytes, at);
    if (record !== null) return { ...record, at, unfinished: bytes.subarray(0, at).some((byte) => byte !== 0) };
  }
  return null;
}

/** The wrap in a file of the format before this one, or null; what a torn first record left behind it is cut off. */
export function formerWrap(bytes: Buffer): Buffer | null {
  const [version, nameLength] = bytes;
  if (version !== FORMER.version || nameLength === undefined) return null;
  const length = FORMER.bytesBesideName + nameLength;
  return bytes.byteLength < length ? null : bytes.subarray(0, length);
}

function recordAt(bytes: Buffer, at: number): Pick<KeyRecord, 'authorizationId' | 'wrapped'> | null {
  if (bytes.byteLength < at + HEADER_BYTES) return null;
  const ownerLength = bytes.readUInt16BE(at + MAGIC.byteLength);
  const wrappedLength = bytes.readUInt16BE(at + MAGIC.byteLength + 2);
  const ownerAt = at + HEADER_BYTES;
  const wrappedAt = ownerAt + ownerLength;
  const end = wrappedAt + wrappedLength;
  const checksum = bytes.subarray(end, end + CHECKSUM_BYTES);
  if (!checksumOf(bytes.subarray(at, end)).equals(checksum)) return null;
  return {
    authorizationId: bytes.subarray(ownerAt, wrappedAt).toString('utf8'),
    wrapped: bytes.subarray(wrappedAt, end),
  };
}

function checksumOf(body: Uint8Array): Buffer {
  return hash('sha256', body, 'buffer');
}
