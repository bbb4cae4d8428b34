import { LIMITS, UNITS } from '../../core/limits.ts';
import type { Headers } from './http.ts';

/** The three forms of a date in HTTP (RFC 9110, 5.6.7). `Date.parse` alone takes `-5` and `3, 5` for dates of 2001. */
const HTTP_DATE =
  /^(?:(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?, \d{2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4})$/;

/**
 * How long a 429 asks us to wait, in milliseconds, within limits; null when it names no time that is still to come. Real servers say it in `Retry-After`
 * (seconds or a date), in Flexpa's `X-Retry-After`, in `X-RateLimit-Reset` (seconds until reset) or only in `RateLimit: "policy";r=0;t=26` (contract, sections
 * 2 and 11).
 */
export function retryAfterOf({ headers, now }: { readonly headers: Headers; readonly now: number }): number | null {
  const candidates = [
    fromSeconds(headers.get('retry-after')) ?? fromDate(headers.get('retry-after'), now),
    fromSeconds(headers.get('x-retry-after')),
    fromSeconds(headers.get('x-ratelimit-reset')),
    fromSeconds(/(?:^|[;,\s])t=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]),
  ];
  const waitMs = candidates.find((candidate) => candidate !== null) ?? null;
  return waitMs === null ? null : Math.min(LIMITS.retryAfterMaxMs, Math.max(LIMITS.retryAfterMinMs, waitMs));
}

function fromSeconds(text: string | undefined): number | null {
  return text !== undefined && /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) * UNITS.SECOND_MS : null;
}

/** A date that is over was written by another clock than ours, and says nothing. */
function fromDate(text: string | undefined, now: number): number | null {
  if (text === undefined || !HTTP_DATE.test(text.trim())) return null;
  const utc = text.trim().endsWith('GMT') ? text : `${text} GMT`;
  const waitMs = Date.parse(utc) - now;
  return waitMs > 0 ? waitMs : null;
}
