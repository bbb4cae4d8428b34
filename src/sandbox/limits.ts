const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export const UNITS = { SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS } as const;

/** Every number the sandbox is bounded by, with its unit in the name and its reason beside it. */
export const LIMITS = {
  /** Token requests are a few hundred bytes and a knob patch for a thousand authorizations some 60 kB. */
  bodyBytes: 128 * 1024,
  /** How much of an oversized body is read and thrown away so that its sender can hear the 413; beyond this it is cut off. */
  drainBytes: 4 * 1024 * 1024,
  /** A client that dribbles its request must not hold a socket for the length of a test run (wall time). */
  requestTimeoutMs: 30 * SECOND_MS,
  /** A patient left alone for longer catches up over several requests, so that no single one hangs. */
  evolutionDaysPerCall: 400,
  /** About 50 MB of JSON: past the largest patient that a worker is tested with. */
  resourcesPerPatient: 20_000,
  /** Changes asked for at once on the control plane; more than this is a new patient rather than a change. */
  changesPerCall: 5_000,
  /** Search page sizes, contract 3.5. */
  pageDefault: 20,
  pageMax: 1000,
  /** Directory page sizes, contract 5. */
  endpointsDefault: 100,
  endpointsMax: 1000,
  /** Spent tokens remembered per authorization: enough to tell a reuse from an unknown token, without growing for ever. */
  rememberedTokens: 16,
  /** An application access token lives 30 minutes, contract 1.9. */
  applicationTokenMs: 30 * MINUTE_MS,
  /** A receiver of webhooks has this long, contract 4 (wall time). */
  webhookTimeoutMs: 30 * SECOND_MS,
  /** Application tokens remembered at once; the oldest is forgotten first. */
  applicationTokens: 100,
} as const;
