import { pipeline, type Readable, type Transform } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { LIMITS } from '../../core/limits.ts';
import { bodyFailureOf, TooLarge } from './http-failure.ts';
import type { Lifetime } from './lifetime.ts';

/** The encodings we ask for. A server that picks another one all the same is understood where `decoderOf` knows it. */
export const ACCEPT_ENCODING = 'gzip, br, zstd';

/** As large as what a socket gives at once; zlib's own 16 KiB means four times the turns. */
const CHUNK = { chunkSize: 64 * 1024 };
/** A window of 8 MiB is what HTTP allows (RFC 9659); the format allows sender to have us keep 128 MiB, and more. */
const ZSTD = { ...CHUNK, params: { [constants.ZSTD_d_windowLogMax]: 23 } };

export type Body = {
  /** To be read once: decompressed, as it arrives, no faster than it is read. Rejects with a BodyFailure; leaving early closes the connection. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** For who does not read at all. */
  readonly cancel: () => void;
};

/**
 * Opens a body for reading within `maxBytes`, compressed and decompressed. A body that was cut short is an error here, where `fetch` takes it for whole
 * (contract, section 11): half a page taken for a whole one would publish false deletions. What has neither a length nor chunks nor a checksum ends when
 * its connection does, and only its reader can tell whether it is whole.
 */
export function openBody({
  raw,
  encoding,
  contentLength,
  maxBytes,
  life,
}: {
  readonly raw: Readable;
  readonly encoding: string | undefined;
  readonly contentLength: string | undefined;
  readonly maxBytes: number;
  readonly life: Lifetime;
}): Body {
  const seen = { received: 0 };
  const plain = decoded({ raw, encoding, seen, maxBytes });
  const bounded = async function* () {
    let given = 0;
    let whole = false;
    try {
      if (Number(contentLength) > maxBytes) throw new TooLarge('maxBytes');
      for await (const chunk of plain) {
        if (!Buffer.isBuffer(chunk)) throw new TypeError('not bytes');
        given += chunk.length;
        if (given > maxBytes) throw new TooLarge('maxBytes');
        if (plain !== raw && isBomb({ given, received: seen.received })) throw new TooLarge('expansionMax');
        yield chunk;
      }
      whole = true;
    } catch (error) {
      throw bodyFailureOf({ error, ended: life.ended() });
    } finally {
      if (whole) life.forget();
      else life.end('cancelled');
    }
  };
  return { chunks: bounded(), cancel: () => life.end('cancelled') };
}

function isBomb({ given, received }: { readonly given: number; readonly received: number }): boolean {
  return given > LIMITS.expansionFreeBytes && given > received * LIMITS.expansionMax;
}

function decoded({
  raw,
  encoding,
  seen,
  maxBytes,
}: {
  readonly raw: Readable;
  readonly encoding: string | undefined;
  readonly seen: { received: number };
  readonly maxBytes: number;
}): Readable {
  // Ended from outside between two reads, or never read: the reader learns it, the process must not.
  raw.on('error', () => {});
  const decoder = decoderOf(encoding);
  if (decoder === null) return raw;
  // Counted here too, because a compressed body can be endless and open to nothing.
  raw.on('data', (chunk: Buffer) => {
    seen.received += chunk.length;
    if (seen.received > maxBytes) raw.destroy(new TooLarge('maxBytes'));
  });
  return pipeline(raw, decoder, () => {}).on('error', () => {});
}

function decoderOf(encoding: string | undefined): Transform | null {
  switch (encoding?.trim().toLowerCase()) {
    case undefined:
    case '':
    case 'identity':
      return null;
    case 'gzip':
    case 'x-gzip':
      return createGunzip(CHUNK);
    case 'deflate':
      return createInflate(CHUNK);
    case 'br':
      return createBrotliDecompress(CHUNK);
    case 'zstd':
      return createZstdDecompress(ZSTD);
    default:
      throw new TypeError('unknown content-encoding');
  }
}
