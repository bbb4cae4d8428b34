import { LIMITS, UNITS } from '../../core/limits.ts';
import type { Headers } from './http.ts';

/**
 * How long a 429 asks us to wait, in milliseconds, capped; null when it names no time. Real servers say it in `Retry-After` (seconds or a
 * date), in Flexpa's `X-Retry-After`, in `X-RateLimit-Reset` (seconds until reset) or only in `RateLimit: "policy";r=0;t=26` (contract, sections 2 and 11).
 */
export function retryAfterOf({ headers, now }: { readonly headers: Headers; readonly now: number }): number | null {
  const candidates = [
    fromSecondsOrDate(headers.get('retry-after'), now),
    fromSeconds(headers.get('x-retry-after')),
    fromSeconds(headers.get('x-ratelimit-reset')),
    fromSeconds(/(?:^|[;,\s])t=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]),
  ];
  const waitMs = candidates.find((candidate) => candidate !== null);
  return waitMs === undefined ? null : Math.min(LIMITS.retryAfterMaxMs, waitMs);
}

function fromSeconds(text: string | undefined): number | null {
  return text !== undefined && /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) * UNITS.SECOND_MS : null;
}

function fromSecondsOrDate(text: string | undefined, now: number): number | null {
  const seconds = fromSeconds(text);
  if (seconds !== null || text === undefined) return seconds;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
