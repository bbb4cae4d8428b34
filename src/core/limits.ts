import { REPAIR_LIMITS } from './limits-repair.ts';

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const KIB = 1024;
const MIB = 1024 * KIB;

export const UNITS = { SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS } as const;

/** Every number that bounds a loop, a wait, a body or a retry, with its unit in the name and the reason beside it. */
export const LIMITS = {
  /** One token POST. Payers answer in under 5 s; the smallest grace window in the field is 30 s, so a second try fits into it. */
  tokenRequestTimeoutMs: 15 * SECOND_MS,
  /** A caller waits for its acceptance; without an answer by then we go on with a guess. */
  introspectionTimeoutMs: 5 * SECOND_MS,
  /** How long after its deadline a request is given up: a process that was frozen past it finds the answer in its socket first. */
  lastLookMs: 100,
  /** A token reply is a few kB of JSON; a JWT with many claims stays under 16 kB. */
  tokenReplyMaxBytes: 256 * KIB,
  /** Until the first byte of a FHIR page; servers that assemble $everything take their time. */
  pageHeadersTimeoutMs: 60 * SECOND_MS,
  /** Between two chunks of a page: a slow-loris body ends here. */
  pageBodyIdleTimeoutMs: 30 * SECOND_MS,
  /** One page, decompressed, read as it arrives. A single $everything bundle of a long history is tens of MB, the largest seen 300; 2 GiB is no patient. */
  pageMaxBytes: 2_048 * MIB,
  /** A compressed body may open to this many times its size. FHIR's JSON gives 10 to 30, in rare cases 100; gzip can do 1,000, which is a bomb's. */
  expansionMax: 200,
  /** Until so much has come out, the share says nothing: a page of blanks is no attack. */
  expansionFreeBytes: 8 * MIB,
  /** What is read of a refusal: an OperationOutcome is a few kB, and an error page tells us nothing. */
  errorBodyMaxBytes: 256 * KIB,
  /** Status line, headers and trailers of an answer; real ones have under 8 kB. */
  replyHeadMaxBytes: 16 * KIB,
  /** Announcements (1xx) before an answer: servers send one or two. */
  interimRepliesMax: 20,
  /** One page from its first byte to its last: a body that drips a byte now and then never idles. */
  pageDeadlineMs: 15 * MINUTE_MS,
  /** All pages of one pull, decompressed: a worker's place is not kept by an upstream without end. */
  pullMaxBytes: 8_192 * MIB,
  /** Entries that come before their page says what it is wait in memory up to here: `resourceType` comes first nearly everywhere, and where it comes last, pages have some MB. */
  pageHeldBackMaxBytes: 64 * MIB,
  /** How far an incremental pull reaches back before the last one: clocks differ, and servers index minutes after they commit. */
  incrementalOverlapMs: HOUR_MS,
  /** A pull that a crash left is gone on with for so long; then the source's page cursors are over, and it begins anew. */
  resumePullWithinMs: 12 * HOUR_MS,
  /** A complete pull that misses a larger share of a type's stored resources is not believed at once. */
  suddenDropShare: 0.2,
  /** How long a source's CapabilityStatement is taken for true. */
  abilitiesFreshMs: 7 * DAY_MS,
  /** A CapabilityStatement; large EHRs send some MB. */
  abilitiesMaxBytes: 16 * MIB,
  /** A pull writes down where it is after so many bytes of pages, or so much time: a crash repeats no more than that. Each time costs a commit and a pack. */
  checkpointBytes: 8 * MIB,
  checkpointEveryMs: 2 * SECOND_MS,
  /** Entries that may belong to another patient wait in memory for the end of the pull, when all links between Patients are known. */
  doubtfulMaxBytes: 8 * MIB,
  /** Packs that one pull rewrites because more than half of each is dead. */
  compactPacksMax: 16,
  /** The share of a pack that must be alive; below it the pack is rewritten. */
  packAliveShare: 0.5,
  /** Pages of one resource type. At 1,000 resources a page this is five million. */
  pagesPerTypeMax: 5_000,
  connectTimeoutMs: 10 * SECOND_MS,
  /** Sockets held to one origin: enough for a busy payer, few enough for its load balancer. */
  connectionsPerOrigin: 32,
  /** Retry-After is honoured up to here: Cerner has been seen to ask for hours (bulk-data-client #14). */
  retryAfterMaxMs: 6 * HOUR_MS,
  /** A `Retry-After: 0` beside a 429 is no leave to come back at once. */
  retryAfterMinMs: SECOND_MS,
  /** What we wait when a 429 says "still syncing" and names no time (contract, section 2). */
  syncingRetryMs: 3 * SECOND_MS,
  /** What we wait when a 429 says "throttled" and names no time. */
  throttledRetryMs: MINUTE_MS,
  /** A suspended source gets one try this often, so that a mended key is noticed without a restart. */
  sourceProbeEveryMs: 15 * MINUTE_MS,
  /** A pull that has pages already waits this long in place rather than begin again; longer waits, and first pages, go back to the queue. */
  waitInPlaceWallMs: 30 * SECOND_MS,
  /** Such waits in one pull: at 30 s each a quarter of an hour of a worker's place. */
  waitsInPlaceMax: 30,
  /** First wait after a failure, doubled each time up to the next line. */
  retryFirstMs: 30 * SECOND_MS,
  retryMaxMs: HOUR_MS,
  /** No job comes back sooner than this on the wall, whatever a fast clock or a Retry-After of 0 says. */
  retryMinWallMs: 50,
  /** A job whose store or key store is away comes back after this; wall time. */
  dependencyRetryWallMs: 5 * SECOND_MS,

  /** How soon a dead worker's authorizations are free: with one sweep and one request, within 10 s of the crash (P4). At 8 s the slowest of 195 took 9.3 s. */
  leaseMs: 7 * SECOND_MS,
  /** Workers in a row that died with the lease of one authorization until it is set aside: a machine that dies twice has bad luck, three times it has a poison. */
  crashesMax: 3,
  /** Of suspects after a first death, in one process. A worker may die with hundreds, and 300 pulls of ten seconds are 50 minutes one by one, 7 like this; a second death brings seven innocents to two, where each runs alone. */
  suspectsAtOnce: 8,
  /** The holder renews this often, however long its work takes: three tries fit before the lease ends. */
  leaseRenewMs: 2 * SECOND_MS,
  /** A plan is made anew when its own refresh or a webhook came in between: each comes once as a rule. */
  planTriesMax: 4,
  /** Who finds the lease taken comes back after this. */
  leaseTakenRetryMs: 2 * SECOND_MS,
  /** How often each worker looks for open intents, late purges and lost jobs: a crash is repaired within 10 s (P4). */
  sweepEveryMs: SECOND_MS,
  /** A job of somebody who was purged before is swept so soon after it was met: it has ended by then. */
  forgetEveryMs: SECOND_MS,
  /** A queue that is away for longer than half a minute is met again when it is back, with what it still holds. */
  forgetTriesMax: 30,
  /** How often the heads of the audit chains are noted in the key store: as much of their end can be cut off unseen. */
  anchorEveryMs: MINUTE_MS,
  /** Looks of one kind that may be under way at once: each works on {@link LIMITS.sweepConcurrency}, and hanging endpoints can keep some of them for a minute. */
  sweepLooksMax: 8,
  /** What one sweep works on at once: one hanging token endpoint must not keep the others out of their grace window. */
  sweepConcurrency: 10,
  /** A cancellation that overtook its own request in the queue waits this long for it. */
  cancelWaitsForMs: 10 * MINUTE_MS,
  /** Rows one sweep takes on; the next sweep takes the next ones. */
  sweepBatch: 200,
  /** The purge lag is told over as long as this. */
  purgeLagOverMs: 7 * DAY_MS,
  /** After purges the databases vacuum, this often at most; on an embedded database nobody else does. */
  reclaimEveryMs: 10 * MINUTE_MS,
  /** The gauge of overdue purges counts no further: beyond it the alarm is the same. */
  overdueCountMax: 1_000,
  /** How long a granted pair is held in memory and offered again after a stop, or against a store that refuses: losing it loses the patient. */
  commitRetryForMs: 30 * SECOND_MS,
  /** The same while the process lives and the store is merely away: a database fails over in minutes. */
  commitHoldMaxMs: 30 * MINUTE_MS,
  commitRetryEveryMs: 250,
  /** Waits between the tries of a token whose fate is unsure: 11 s in all, inside the smallest grace windows in the field (30 s; promises, 2.1). */
  refreshTryWaitsMs: [1 * SECOND_MS, 3 * SECOND_MS, 7 * SECOND_MS],
  /** A token is put on the wire only this soon after its intent was written under the lease: as much is left of the lease for a slow last step. */
  sendWithinMs: 3 * SECOND_MS,
  /** A refusal that does not say why (`invalid_request`) is believed when it comes again this much later (contract, section 11). */
  secondLookAfterMs: 10 * MINUTE_MS,
  /** However long its access token lives, a standing authorization runs this often, so that its refresh token is used; such a run pulls only when a pull is due. */
  runEveryMaxMs: DAY_MS,
  /** A refresh token is used this often at least, however long its access token lives: idle ones die in the field (promise P11). Two missed runs fit in. */
  refreshIdleMaxMs: 25 * HOUR_MS,
  /**
   * An attempt that nobody answered can reach a strict server after the next one, and kill the pair that was granted meanwhile: a token request's 15 s, and as
   * much for networks. A refusal is called ambiguous until a grant was sent this long after the last such attempt.
   */
  doubtFadesMs: MINUTE_MS,
  /** A refresh token with a known end is used this long before it. */
  refreshEndMarginMs: DAY_MS,
  /** Failures of one source in a row before it counts as away: one lost packet is no outage. */
  outageAfterFailures: 3,
  /** Requests of earlier consents that are still known again when they come late: a patient consents once or twice a year. */
  earlierFingerprintsMax: 50,
  /** A caller who asks for a token waits this long at most for a refresh that is under way; a token endpoint has 15 s. */
  tokenWaitMaxMs: 20 * SECOND_MS,
  /** How often such a caller looks whether another worker has brought the token. */
  tokenLookEveryMs: 100,
  /** A token handed out lasts this long at least, unless its whole life is shorter. */
  tokenMinValidityMs: MINUTE_MS,
  /** The days ahead of an end that a warning may be asked for. */
  warnDaysMax: 365,
  /** An end told as so many seconds moves by the time a reply takes: within an hour it is the same end, and said before. */
  sameEndMs: HOUR_MS,
  /** How far ahead the calendar can be asked: no grant in the field lasts longer. */
  calendarDaysMax: 3_660,
  /** Discovery documents are a few kB; a CapabilityStatement beside them may not come through here. */
  discoveryMaxBytes: 256 * KIB,
  /** A discovery document is asked for again after this: servers move their token endpoints with notice of days. */
  discoveryFreshMs: DAY_MS,
  /** A client assertion lives this long: SMART allows five minutes, and clocks differ by some. */
  assertionLifetimeMs: 4 * MINUTE_MS,

  /** Equal parts of a period in which authorizations are counted when a new one gets its place: six for each minute of a day. */
  phaseBuckets: 8_192,
  /** Authorizations counted in one such part; beyond it the hash alone spreads well enough. */
  phaseLoadMax: 2_000,
  /** A run that the queue wakes this much before its plan runs: BullMQ and clocks differ by seconds. */
  runEarlyMaxMs: MINUTE_MS,
  /** How long before its records would be late an authorization runs at the latest, where its slots do not come in time. */
  pullLeadMs: HOUR_MS,
  /** A period is a whole number of these. */
  periodGrainMs: MINUTE_MS,
  /** Taken off the lead, so that `expires_in: 86399.4` after 86400 does not re-phase a scheduler. */
  lifetimeSlackMs: 2 * SECOND_MS,
  /** No repeating job runs more often than this, whatever a source's token lifetime says. */
  periodMinMs: MINUTE_MS,
  periodMaxMs: 31 * DAY_MS,
  /** How long before its end an access token is no longer used; the share of its lifetime, at most `leadMaxMs`. */
  leadShare: 1 / 24,
  leadMinMs: 30 * SECOND_MS,
  leadMaxMs: HOUR_MS,
  /** A token that is said to live longer counts as living this long: beyond some 200,000 years an instant has no date. */
  tokenLifetimeMaxMs: 20 * 366 * DAY_MS,
  /** A lifetime nobody told us: short, so that we find out by using it (contract, 8.3). */
  accessTokenUnknownLifetimeMs: 5 * MINUTE_MS,
  /** A caller's clock may be this far ahead of ours before `issuedAt` counts as wrong. */
  clockSkewMaxMs: 5 * MINUTE_MS,
  /** ONE_TIME data never lives longer than this, whatever the token says (contract, 1.8). */
  oneTimeMaxMs: DAY_MS,

  /** Opened packs a pull keeps at hand while it compares changed resources with their stored bytes. */
  openPacksMax: 4,
  /** Times in a row, without a resource in between, that a read finds its pack moved by a pull and looks up where it lies now. */
  packMovesMax: 3,
  /** One pack, opened; a sealed value that grows beyond it is not ours. */
  packMaxBytes: 1_024 * MIB,
  /** Resources in one pack before it is sealed: keeps one seal under some 8 MiB of FHIR. */
  packTargetBytes: 8 * MIB,
  /** An authorization request as JSON: tokens of a few kB and names. */
  requestMaxBytes: 64 * KIB,
  /** Data keys that one call of a rotation wraps anew: two writes to the disk each, so some seconds on a slow one. */
  rotationBatch: 100,
  /** Data keys that one call counts. */
  censusBatch: 1_000,
  /** Rows on one page of the list API. */
  listPageMax: 500,

  /** Runs that one endpoint gets at once over all workers: at half a second each, more than a million a day. */
  gateConcurrency: 8,
  /** A place at a gate whose run says nothing for this long is free again: its worker has died. It says so three times in that time. */
  gateHolderMs: MINUTE_MS,
  /** How long a run is taken to last where none has ended yet, at most, and how much each new one counts. */
  gateServiceGuessMs: SECOND_MS,
  gateServiceMaxMs: 10 * MINUTE_MS,
  gateServiceWeight: 0.2,
  /** Nobody who was turned away comes back sooner; wall time. */
  gateRetryMinMs: 50,
  /** A gate that nobody came to for so long after its last deadline is forgotten. */
  gateForgetMs: HOUR_MS,
  /** Failures in a row that open a breaker: a deployment of theirs fails two or three. */
  breakerAfterFailures: 5,
  /** How long a breaker is open at first; doubled with each probe in vain up to the next line. */
  breakerFirstMs: 30 * SECOND_MS,
  breakerMaxMs: 15 * MINUTE_MS,
  /** While somebody probes, others come back after this: a page has as long until its first byte. */
  probeTakesMs: MINUTE_MS,
  /** The share of a worker's places that probes may take, one at least: with hundreds of hanging endpoints all the rest is for the healthy. */
  probeShare: 0.05,

  /** After SIGTERM running jobs may finish this long (P30). */
  shutdownCapMs: 10 * SECOND_MS,
  /** Jobs kept in the queue for the on-call engineer, by number and by age. */
  keepCompletedJobs: 1_000,
  keepCompletedAgeS: 3_600,
  keepFailedJobs: 5_000,
  keepFailedAgeS: 7 * 24 * 3_600,
  /** Events BullMQ keeps per queue; they outlive the jobs (promises, finding 4), so few and without content. */
  keepQueueEvents: 1_000,
  /** How long a dependency may take to answer a readiness probe. */
  probeTimeoutMs: 2 * SECOND_MS,
  ...REPAIR_LIMITS,
} as const;
