import { z } from 'zod';

/** What an operator asks and hears of the key-encryption keys. Their names only: no key, and no authorization's id. */

const count = z.number().int();
const next = z.string().nullable().describe('The `after` of the next page; null on the last one');
const currentKeyId = z.string().describe('The first of ENCRYPTION_KEYS, by its name');

/** Opaque: handed back as it came. */
export const keyCursorSchema = z.string().min(1).max(256);

export const rotationRequestSchema = z.strictObject({
  after: keyCursorSchema.optional().describe('The `next` of the page before; left out at the beginning'),
});

/** What became of one page of data keys; each is counted once. */
export const rotationSchema = z.object({
  currentKeyId,
  rewrapped: count,
  current: count.describe('Wrapped by the current key before'),
  gone: count.describe('Destroyed meanwhile'),
  unreadable: count.describe('Left as they are: no key of ENCRYPTION_KEYS opens them'),
  next,
});
export type RotationView = z.infer<typeof rotationSchema>;

/** Which key-encryption keys wrap the data keys of one page. */
export const keyCensusSchema = z.object({
  currentKeyId,
  keys: z.array(
    z.object({ keyId: z.string(), held: z.boolean().describe('Whether it is in ENCRYPTION_KEYS'), wraps: count }),
  ),
  unreadable: count.describe('No wrap at all'),
  next,
});
export type KeyCensusView = z.infer<typeof keyCensusSchema>;
