import type { Authorization, EndKind } from '../authorization.ts';
import type { Instant } from '../clock.ts';
import type { Abilities } from '../pull-state.ts';
import type { CommitResult, Fence } from './fence.ts';
import type { SourceCondition } from './source-condition.ts';

/** What a calling service may want to act on; a closed set. */
export const EVENT_KINDS = [
  'needs_reauthorization',
  'repaired',
  'quarantined',
  'released',
  'ending',
  'refresh_unsure',
  'refresh_sure_again',
  'source_suspended',
  'source_outage',
  'source_throttled',
  'source_recovered',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** One line of the event feed. Ids, words of closed sets and instants; no token and no health data. */
export type Event = {
  readonly cursor: number;
  readonly at: Instant;
  readonly kind: EventKind;
  /** Null for events of a whole source. */
  readonly authorizationId: string | null;
  readonly source: string;
  /** The reason of the state, or which end comes nearer. */
  readonly reason: string | null;
  readonly endsAt: Instant | null;
  readonly daysLeft: number | null;
};

export type SourceState = {
  readonly source: string;
  readonly condition: SourceCondition;
  readonly since: Instant;
  /** The last time it was seen like this. */
  readonly lastAt: Instant;
  /** Failures in a row; an outage is announced from {@link LIMITS.outageAfterFailures} on. */
  readonly failures: number;
  readonly announced: boolean;
  /** Until then a suspended source is left alone. */
  readonly probeAt: Instant;
};

/** The part of the store that tells people and services: sources in trouble, ends that come nearer, the event feed. */
export type FeedStore = {
  /**
   * Notes how a source's token endpoint has just treated us. What was announced gives way only to what is graver and announced itself, so that each
   * announcement has its end. The event goes out with the first note of a suspension or throttling, and with the {@link LIMITS.outageAfterFailures}th of an outage.
   */
  readonly noteSource: (value: {
    readonly source: string;
    readonly condition: SourceCondition;
    readonly at: Instant;
  }) => Promise<void>;
  /** A grant proves that the source takes our credentials and answers: whatever was noted is over, and announced as over if it was announced. */
  readonly clearSource: (value: { readonly source: string; readonly at: Instant }) => Promise<void>;
  /** Lets every suspended source be tried at once, since a restart may have brought a mended key; whether it has, only a grant tells. */
  readonly probeSources: () => Promise<void>;
  /** Whether this run may try a suspended source: one a while may, and moves the next try `everyMs` on. True for a source that is not suspended. */
  readonly mayTrySource: (value: {
    readonly source: string;
    readonly at: Instant;
    readonly everyMs: number;
  }) => Promise<boolean>;
  /** What a source's searches can do, as it said when it was last asked; no health data is in it. */
  readonly sourceAbilities: (
    source: string,
  ) => Promise<{ readonly learnedAt: Instant; readonly abilities: Abilities } | null>;
  readonly rememberAbilities: (value: {
    readonly source: string;
    readonly learnedAt: Instant;
    readonly abilities: Abilities;
  }) => Promise<void>;
  readonly sourceStates: () => Promise<readonly SourceState[]>;

  /** Authorizations whose ends are to be looked at by now, in the order of those looks. */
  readonly dueWarnings: (query: { readonly now: Instant; readonly limit: number }) => Promise<readonly Authorization[]>;
  /** Fenced. Announces an end that comes nearer and plans the next look, in one transaction. */
  readonly warn: (
    value: Fence & {
      readonly event: Omit<Event, 'cursor' | 'kind' | 'authorizationId'>;
      readonly nextWarningAt: Instant | null;
    },
  ) => Promise<CommitResult>;
  /** When the last warning of this end went out, if one did; an end that moved by less than {@link LIMITS.sameEndMs} is the same. */
  readonly warnedAt: (query: {
    readonly authorizationId: string;
    readonly reason: EndKind;
    readonly endsAt: Instant;
  }) => Promise<Instant | null>;
  /** Standing authorizations that end before an instant, the earliest first. */
  readonly calendar: (query: { readonly before: Instant; readonly limit: number }) => Promise<readonly Authorization[]>;
  /** How many authorizations have ended and wait for their patient. */
  readonly countWaiting: () => Promise<number>;
  /** How many standing authorizations end before an instant. */
  readonly countEnding: (query: { readonly before: Instant }) => Promise<number>;
  /** The event feed. Cursors grow in the order in which the events became visible: none appears behind one that was read. */
  readonly events: (page: { readonly after: number; readonly limit: number }) => Promise<readonly Event[]>;
};
