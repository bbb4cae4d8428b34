import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { PerennialError } from '../../core/errors.ts';
import type { Codec } from '../../core/ports/codec.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Measured here: level 3 packs 700 to 1,100 MB/s at 18.8x; higher levels cost more than they save. */
const LEVEL = 3;
/** What comes out is a MB or so; with zlib's 16 kB a pack goes back and forth between the threads 60 times. */
const CHUNK_BYTES = 1_048_576;

/** zstd, on Node's own thread pool. */
export function createCodec(): Codec {
  return {
    compress: (bytes) =>
      compress(bytes, { chunkSize: CHUNK_BYTES, params: { [constants.ZSTD_c_compressionLevel]: LEVEL } }),
    expand: async ({ bytes, maxBytes }) => {
      try {
        return await decompress(bytes, { chunkSize: CHUNK_BYTES, maxOutputLength: maxBytes });
      } catch {
        throw new PerennialError('unseal_failed');
      }
    },
  };
}
