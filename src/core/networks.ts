import { UNITS } from './limits.ts';

export const NETWORKS = ['TEFCA_IAS', 'CMS_9115', 'ONC_G10'] as const;
export type NetworkName = (typeof NETWORKS)[number];

/** One network's cadence: how often to pull, when its records count as late, and the range an adaptive cadence may use. */
export type NetworkPolicy = {
  readonly pullEveryMs: number;
  readonly lateAfterMs: number;
  readonly adaptiveMinMs: number;
  readonly adaptiveMaxMs: number;
  /** Whether the cadence adapts where no operator says. */
  readonly adaptive: boolean;
};

const { HOUR_MS } = UNITS;

/**
 * The networks' refresh periods as data (design, section 8): TEFCA IAS real-time to 24 h, CMS-9115 24 to 48 h, ONC (g)(10) 24 h.
 * 23 h rather than 24 h, so that a run which starts late still keeps the 24 h. TEFCA's adapts by itself, since that costs no source a request more; CMS's would
 * let quiet endpoints wait for 47 h, and that is for an operator to say.
 */
export const NETWORK_POLICIES: Readonly<Record<NetworkName, NetworkPolicy>> = {
  TEFCA_IAS: { ...policy(6, 24, 1, 23), adaptive: true },
  CMS_9115: { ...policy(23, 48, 23, 47), adaptive: false },
  ONC_G10: { ...policy(23, 24, 23, 23), adaptive: false },
};

function policy(
  pullEveryH: number,
  lateAfterH: number,
  adaptiveMinH: number,
  adaptiveMaxH: number,
): Omit<NetworkPolicy, 'adaptive'> {
  return {
    pullEveryMs: pullEveryH * HOUR_MS,
    lateAfterMs: lateAfterH * HOUR_MS,
    adaptiveMinMs: adaptiveMinH * HOUR_MS,
    adaptiveMaxMs: adaptiveMaxH * HOUR_MS,
  };
}
