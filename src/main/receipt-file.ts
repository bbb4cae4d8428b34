import { parseArgs } from 'node:util';
import { createVerifier } from '../adapters/vault/notary.ts';
import { receiptOf, receiptSchema, signingKeySchema } from '../contract/proof.ts';
import { checkableReceipt, judgeLink } from '../core/check-chain.ts';
import type { SigningJwk } from '../core/ports/notary.ts';
import { printable } from './print.ts';
import { readJson, UsageError } from './read-json.ts';
import type { RemoteOptions } from './remote-turn.ts';

type Streams = Pick<RemoteOptions, 'out' | 'err' | 'stdin'>;

const EXIT = { ok: 0, refused: 1, usage: 2 } as const;
const USAGE = 'perennial receipts verify --file FILE|- --key JWK.json [--json]';
const VERDICTS = {
  altered: 'ALTERED: this is not the text that was signed',
  forged: 'FORGED: this key did not sign it',
  unchained: 'UNSIGNED: it was written before receipts were signed',
} as const;

/** `receipts verify --file`: checks one receipt with a public key at hand, and asks nobody. Resolves to its exit code. */
export async function verifyReceiptFile({
  args,
  ...streams
}: Streams & { readonly args: readonly string[] }): Promise<number> {
  try {
    const { file, keyFile, json } = flagsOf(args);
    const key = await readSigningKey({ file: keyFile, options: streams });
    const parsed = receiptSchema.safeParse(await readJson({ file, stdin: streams.stdin ?? process.stdin }));
    if (!parsed.success) throw new UsageError('the file holds no receipt');
    const { authorizationId, link } = parsed.data;
    const checkable = checkableReceipt(receiptOf(parsed.data));
    const finding = checkable === null ? 'unchained' : judgeLink({ checkable, verifier: createVerifier([key]) });
    const verdict =
      finding === null ? `genuine: signed by ${key.kid}, number ${link?.seq} of its chain` : VERDICTS[finding];
    streams.out.write(
      json ? `${JSON.stringify({ authorizationId, finding, keyId: key.kid })}\n` : `${authorizationId}: ${verdict}\n`,
    );
    return finding === null ? EXIT.ok : EXIT.refused;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    streams.err.write(`error: ${printable(error.message)}\nusage: ${USAGE}\n`);
    return EXIT.usage;
  }
}

/** A public signing key, as `GET /v1/signing-key` gives it. @throws UsageError naming the file. */
export async function readSigningKey({
  file,
  options,
}: {
  readonly file: string;
  readonly options: Pick<RemoteOptions, 'stdin'>;
}): Promise<SigningJwk> {
  const parsed = signingKeySchema.safeParse(await readJson({ file, stdin: options.stdin ?? process.stdin }));
  if (!parsed.success) throw new UsageError(`${file} holds no Ed25519 public key (JWK)`);
  return parsed.data;
}

function flagsOf(args: readonly string[]): { readonly file: string; readonly keyFile: string; readonly json: boolean } {
  try {
    const options = { file: { type: 'string' }, key: { type: 'string' }, json: { type: 'boolean' } } as const;
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    const { file, key: keyFile, json = false } = values;
    if (positionals.join(' ') === 'verify' && file !== undefined && keyFile !== undefined)
      return { file, keyFile, json };
  } catch {
    throw new UsageError('an unknown option, or one without its value');
  }
  throw new UsageError('a receipt needs --file and the public key that it is checked with, --key');
}
