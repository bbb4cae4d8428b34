/** Compression of packs and manifests before they are sealed. */
export type Codec = {
  readonly compress: (bytes: Uint8Array) => Promise<Uint8Array>;
  /** @throws PerennialError `unseal_failed` for bytes that are not ours or that grow beyond `maxBytes`. */
  readonly expand: (value: { readonly bytes: Uint8Array; readonly maxBytes: number }) => Promise<Uint8Array>;
};
