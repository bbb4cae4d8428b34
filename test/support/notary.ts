import { randomBytes } from 'node:crypto';
import { createDataKey } from '../../src/adapters/vault/data-key.ts';
import { createNotary } from '../../src/adapters/vault/notary.ts';
import type { Notary } from '../../src/core/ports/notary.ts';

/** The notary of an installation that a test makes up. The same seed gives the same one. */
export function notaryOf(seed: Buffer = randomBytes(32)): Notary {
  return createNotary(createDataKey({ authorizationId: '.keyring', bytes: Buffer.from(seed) }));
}

/** The one of the stores that run through the contract. */
export const NOTARY = notaryOf();
