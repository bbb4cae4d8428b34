import type { Authorization, State } from '../../../src/core/authorization.ts';
import type { Event } from '../../../src/core/ports/feed.ts';
import type { AuditEntry } from '../../../src/core/ports/store.ts';
import type { Refusal } from './authorization-server.ts';
import type { PostFault } from './plan.ts';
import type { Process } from './process.ts';

/** One refresh token that was put on the wire, with what the store held at that very moment. */
export type Post = {
  readonly sender: Process;
  readonly authorizationId: string;
  readonly token: string;
  readonly wireAt: number;
  readonly fault: PostFault;
  /** The version that the attempt says it spends. */
  readonly version: number;
  /** A newer pair was stored already, and this token is none of it. */
  readonly superseded: boolean;
  /** Its process had been told to stop. */
  readonly stopped: boolean;
  /** The open intent is this sender's own. */
  readonly announced: boolean;
  /** The open intent says that an earlier attempt may have spent the token. */
  readonly unsure: boolean;
  verdict: 'granted' | 'refused' | 'none';
  why: Refusal | null;
  verdictAt: number;
  /** The refresh token that the server gave for it. */
  given: string | null;
  /** When an answer reached the flow, and whether it was the server's own. */
  answeredAt: number | null;
  answer: 'granted' | 'refused' | 'throttled' | 'unsure' | 'not_sent' | null;
};

export type Page = { readonly authorizationId: string; readonly at: number; readonly committed: boolean };
export type Commit = {
  readonly authorizationId: string;
  readonly at: number;
  readonly version: number;
  readonly before: { readonly version: number; readonly refresh: string };
  readonly refresh: string;
  readonly access: string;
};
export type Move = { readonly authorizationId: string; readonly from: State; readonly to: State };

/** All that a schedule has brought about. */
export type History = {
  readonly posts: readonly Post[];
  readonly pages: readonly Page[];
  /** Tokens that calling services were given. */
  readonly handed: readonly Page[];
  readonly commits: readonly Commit[];
  readonly moves: readonly Move[];
  readonly audit: readonly AuditEntry[];
  readonly events: readonly Event[];
  readonly processes: readonly Process[];
  readonly ends: readonly End[];
};

/** What became of one authorization in the end, after a run of a healthy worker against a healthy source. */
export type End = {
  readonly authorization: Authorization;
  /** The last run was given a new pair, or the token in store is taken by the server. */
  readonly refreshed: boolean;
  readonly openIntent: boolean;
  /** Refresh tokens that the server has given, would still take, and that are not the stored one. */
  readonly living: readonly string[];
  readonly version: number;
};
