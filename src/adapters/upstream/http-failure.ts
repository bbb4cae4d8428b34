import { errors } from 'undici';
import { AddressRefused } from './connect.ts';
import type { Ended } from './lifetime.ts';
import { EndlessHead, Withheld } from './send-once.ts';

/** Why there is no answer, or no whole one. */
export type FailureReason =
  | 'timeout'
  | 'connection'
  | 'cut_short'
  | 'too_large'
  | 'cancelled'
  | 'withheld'
  | 'address_refused';

/** Names of the limits that a body can break. */
export type BodyLimit = 'maxBytes' | 'expansionMax';

/** More came than was allowed. */
export class TooLarge extends Error {
  readonly limit: BodyLimit;

  constructor(limit: BodyLimit) {
    super(limit);
    this.limit = limit;
  }
}

/** What reading a body rejects with: nothing of the library's error but what it means. */
export class BodyFailure extends Error {
  readonly reason: FailureReason;
  /** Which limit was broken, where one was. */
  readonly limit: BodyLimit | null;

  constructor({ reason, limit }: { readonly reason: FailureReason; readonly limit: BodyLimit | null }) {
    super(reason);
    this.reason = reason;
    this.limit = limit;
  }
}

/** What an error means that came before the head of an answer. */
export function reasonOf({ error, ended }: { readonly error: unknown; readonly ended: Ended | null }): FailureReason {
  if (error instanceof Withheld) return 'withheld';
  if (ended !== null) return ended;
  if (error instanceof AddressRefused) return 'address_refused';
  if (error instanceof TooLarge || error instanceof EndlessHead) return 'too_large';
  if (error instanceof errors.HeadersOverflowError) return 'too_large';
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) return 'timeout';
  if (error instanceof errors.ConnectTimeoutError) return 'timeout';
  return 'connection';
}

/** The same for one that came after it. Whatever breaks a body off or makes it not add up leaves half of it, and half is none. */
export function bodyFailureOf(found: { readonly error: unknown; readonly ended: Ended | null }): BodyFailure {
  const reason = reasonOf(found);
  return new BodyFailure({
    reason: reason === 'connection' ? 'cut_short' : reason,
    limit: found.error instanceof TooLarge ? found.error.limit : null,
  });
}
