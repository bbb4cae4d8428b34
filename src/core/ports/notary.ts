/** An Ed25519 public key (RFC 8037). `kid` is its thumbprint (RFC 7638), so that nobody can give one key another's name. */
export type SigningJwk = {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly kid: string;
};

/** The newest link of a chain; `seq` is 0 and `hash` empty while it has none. */
export type Head = { readonly chain: string; readonly seq: number; readonly hash: string };

/** Where an entry stands in its chain, and the notary's word for it. Hash and signature are base64url. */
export type Link = Head & {
  /** Of the link before; empty for the first one. */
  readonly previousHash: string;
  readonly signature: string;
  readonly keyId: string;
};

export type Verifier = {
  /** SHA-256 of the text in UTF-8, base64url. */
  readonly hashOf: (text: string) => string;
  /** Whether the signature over the 32 bytes of `hash` is by the key named; false for a key that is not known. */
  readonly isSigned: (link: Pick<Link, 'hash' | 'signature' | 'keyId'>) => boolean;
};

/**
 * Signs what must not be altered afterwards. Its key is derived from the installation's own key, which lies in the key store: whoever has the database alone
 * can neither make a link nor change one.
 */
export type Notary = Verifier & {
  readonly keyId: string;
  readonly publicJwk: SigningJwk;
  readonly attest: (text: string) => Pick<Link, 'hash' | 'signature' | 'keyId'>;
};
