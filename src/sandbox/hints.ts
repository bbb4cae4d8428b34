import type { Knobs } from './knobs.ts';
import type { Headers } from './reply.ts';

/** The headers of a 429 in one of the styles seen on real servers (contract 9 and 11). All times are domain time. */
export function retryHeaders(style: Knobs['transientHint'], waitMs: number, nowMs: number): Headers {
  const seconds = String(Math.ceil(waitMs / 1000));
  switch (style) {
    case 'both':
      return { 'retry-after': seconds, 'x-retry-after': seconds };
    case 'retry-after':
      return { 'retry-after': seconds };
    case 'x-retry-after':
      return { 'x-retry-after': seconds };
    case 'http-date':
      // An HTTP date has whole seconds: rounded up, so that a client which obeys it never comes too early.
      return { 'retry-after': new Date(Math.ceil((nowMs + waitMs) / 1000) * 1000).toUTCString() };
    case 'ratelimit':
      return { ratelimit: `"default";r=0;t=${seconds}` };
    case 'none':
      return {};
  }
}
