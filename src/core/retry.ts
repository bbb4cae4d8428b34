import type { TroubleKind } from './authorization.ts';
import { backoffMs } from './cadence.ts';
import type { ErrorCode } from './errors.ts';
import { LIMITS } from './limits.ts';

/** What a failed refresh is called in the catalogue, by what stands in its way. */
export const TROUBLE_CODES = {
  misconfigured: 'source_refused_us',
  outage: 'upstream_unavailable',
  throttled: 'upstream_throttled',
  unsure: 'refresh_unsure',
} as const satisfies Record<TroubleKind, ErrorCode>;

/**
 * When to offer the token again, by what stands in its way; milliseconds of domain time. A dead authorization has no entry: it is not tried again.
 *
 * - `misconfigured`: one try a quarter of an hour for the whole source, since only a person can mend it.
 * - `throttled`: when the source said, or in a minute.
 * - `outage`: as the source said, else a doubled and spread wait up to an hour.
 * - `unsure`: the grace windows in the field have been used up by the tries within the run; from there on as an outage.
 */
export function retryAfterMs({
  trouble,
  hintMs,
  failures,
  random,
}: {
  readonly trouble: TroubleKind;
  readonly hintMs: number | null;
  readonly failures: number;
  readonly random: number;
}): number {
  switch (trouble) {
    case 'misconfigured':
      return hintMs ?? LIMITS.sourceProbeEveryMs * (1 + random / 10);
    case 'throttled':
      return hintMs ?? LIMITS.throttledRetryMs * (0.5 + random);
    case 'outage':
    case 'unsure':
      return hintMs ?? backoffMs({ failures, random });
  }
}
