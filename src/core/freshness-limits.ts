import { UNITS } from './limits.ts';

/** The numbers of the adaptive cadence and of webhooks, with their units and the reason beside each. */
export const FRESHNESS_LIMITS = {
  /** What pulls have told of an endpoint counts a third after so long: payers change their batches by the season, and a few weeks tell the hours apart. */
  changesFadeMs: 14 * UNITS.DAY_MS,
  /** Two pulls further apart than this tell nothing about the hours between. */
  observedMaxMs: 3 * UNITS.DAY_MS,
  /** Each hour of the day was watched for so many authorization-hours before an endpoint's cadence adapts: a week of one patient. */
  learnedAfterHours: 6.5,
  /** Records change every few days; only the rates' proportion to each other matters, so a guess does no harm. */
  changeRatePriorPerHour: 1 / (4 * 24),
  /** Changes seen before an endpoint's own rate outweighs its network's. */
  changesOfPrior: 2,
  /** Changes seen in an hour of the day before its rate outweighs the endpoint's mean. */
  changesOfHourPrior: 0.5,
  /** No adaptive range is finer than an hour, so no rate above this makes a difference. */
  changeRateMaxPerHour: 1,
  /** The pulls that follow one nightly batch are spread over this: 100,000 patients of one endpoint are 28 pulls a second. */
  adaptiveSpreadMs: UNITS.HOUR_MS,
  /** A slot that comes before a planned pull by this share of the period or less does it: a quarter of an hour of six. */
  adaptiveEarlyShare: 1 / 24,
  /** Pulls of one endpoint are added to its profile together, this often at most: a thousand patients share one row. A crash forgets as much. */
  learnEveryWallMs: 10 * UNITS.SECOND_MS,
  /** A profile is forgotten that no pull has added to for so long: nobody of its endpoint is left, or it says a third of what it said. */
  profileKeptMs: 14 * UNITS.DAY_MS,
  /** How old the profiles may be that a worker plans by; what it learns itself it knows at once. */
  profilesFreshMs: UNITS.HOUR_MS,
  /** A webhook's event is taken once within this; senders try again for half an hour, and people send by hand for a day. */
  hooksSeenForMs: 2 * UNITS.DAY_MS,
  /** Old events that each delivery forgets: more than come in, so that none pile up. */
  hooksForgottenMax: 10,
  /** Authorizations that one webhook may mean: one consent covers a few payers. */
  hookMeansMax: 20,
  /** A webhook is some hundred bytes. */
  hookMaxBytes: 64 * 1_024,
} as const;
