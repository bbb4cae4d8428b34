/** How a source's token endpoint treats us: refuses our client, is away, throttles. At most one of them, the first one first. */
export const SOURCE_CONDITIONS = ['suspended', 'outage', 'throttled'] as const;
export type SourceCondition = (typeof SOURCE_CONDITIONS)[number];
