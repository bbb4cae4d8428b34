import type { State } from '../core/authorization.ts';
import type { CadenceTable } from '../core/cadence.ts';
import type { AccessTokenView, CalendarView, EventView, SourceStateView } from './feed.ts';
import type { FleetView } from './fleet.ts';
import type { KeyCensusView, RotationView } from './keys.ts';
import type { PlannedLoadView } from './plan-load.ts';
import type { AuditEntryView, AuditHeadsView, ReceiptView } from './proof.ts';
import type { RecordsRead, SettledView, TypesView, Verdict } from './records.ts';
import type { AuthorizationRequest, AuthorizationView, ChangeView } from './wire.ts';

/** Who asks: a calling service by its key's name, an operator, or the worker itself. Stands in the audit trail. */
export type Actor = string;

/**
 * What the rest of the world may ask of Perennial, whichever door it comes through (HTTP, sealed intake, command line).
 * Every function rejects with a PerennialError of the catalogue and nothing else.
 */
export type Service = {
  /** Accepts a request or a new consent, or finds the one accepted before under the same id. `created` is false for a repetition. */
  readonly accept: (value: {
    readonly request: AuthorizationRequest;
    readonly actor: Actor;
  }) => Promise<{ readonly authorization: AuthorizationView; readonly created: boolean }>;
  readonly status: (id: string) => Promise<AuthorizationView>;
  readonly list: (page: {
    readonly after: string | null;
    readonly limit: number;
    readonly state?: State;
  }) => Promise<readonly AuthorizationView[]>;
  /** Ends the authorization: reads refuse from now on, the purge follows at once. */
  readonly requestPurge: (value: { readonly id: string; readonly actor: Actor }) => Promise<AuthorizationView>;
  /** Pulls now, out of turn. */
  readonly pullNow: (value: { readonly id: string; readonly actor: Actor }) => Promise<AuthorizationView>;
  /** Lets a quarantined authorization run again; audited by its change of state. */
  readonly release: (value: { readonly id: string; readonly actor: Actor }) => Promise<AuthorizationView>;
  /** The stored resources as they were sent, one at a time; audited. `asOf` refuses unless it is the newest cursor. */
  readonly records: (value: {
    readonly id: string;
    readonly actor: Actor;
    readonly types?: readonly string[];
    readonly asOf?: number;
  }) => Promise<RecordsRead>;
  /** What is known of each resource type: how its last pull ended, what is held, what is suspected to be gone; audited. */
  readonly types: (value: { readonly id: string; readonly actor: Actor }) => Promise<TypesView>;
  /** The operator's word on the suspected removals of one type; audited. */
  readonly settleSuspected: (value: {
    readonly id: string;
    readonly actor: Actor;
    readonly resourceType: string;
    readonly verdict: Verdict;
  }) => Promise<SettledView>;
  readonly changes: (value: {
    readonly id: string;
    readonly actor: Actor;
    readonly after: number;
    readonly limit: number;
  }) => Promise<readonly ChangeView[]>;
  /** A valid access token, refreshed if it must be; audited. */
  readonly token: (value: { readonly id: string; readonly actor: Actor }) => Promise<AccessTokenView>;
  /** What callers may want to act on, in the order in which it became known. */
  readonly events: (page: { readonly after: number; readonly limit: number }) => Promise<readonly EventView[]>;
  /** Standing authorizations that end within so many days, the earliest first. */
  readonly calendar: (query: { readonly withinDays: number; readonly limit: number }) => Promise<CalendarView>;
  /** How many authorizations stand where, and whether purges come in time. */
  readonly fleet: () => Promise<FleetView>;
  /** Takes a webhook of a source, as it came in; rejects with `hook_refused` where it is not signed as it must be. */
  readonly takeHook: (hook: {
    readonly source: string;
    readonly signature: string | null;
    readonly body: Uint8Array;
  }) => Promise<void>;
  /** What another cadence table would make of the fleet's load; changes nothing. */
  readonly planLoad: (table: CadenceTable) => Promise<PlannedLoadView>;
  /** Sources that refuse our client, are away or throttle us. */
  readonly sources: () => Promise<readonly SourceStateView[]>;
  /** The proof that an authorization was purged; audited. */
  readonly receipt: (value: { readonly id: string; readonly actor: Actor }) => Promise<ReceiptView>;
  /** All receipts in the order of their chain; audited. */
  readonly receipts: (page: {
    readonly actor: Actor;
    readonly after: number;
    readonly limit: number;
  }) => Promise<readonly ReceiptView[]>;
  /** One chain of the audit trail in its order, or for null what is in none; audited. */
  readonly audit: (page: {
    readonly actor: Actor;
    readonly chain: string | null;
    readonly after: number;
    readonly limit: number;
  }) => Promise<readonly AuditEntryView[]>;
  readonly auditHeads: () => Promise<AuditHeadsView>;
  /** Writes down what an operator does beside this counter, before it is done. */
  readonly noteOperation: (value: { readonly actor: Actor; readonly what: string }) => Promise<void>;
  /** Wraps one page of the data keys by the current key-encryption key; audited. `after` is the `next` of the page before. */
  readonly rotateKeys: (page: { readonly after: string | null; readonly actor: Actor }) => Promise<RotationView>;
  /** Which key-encryption keys wrap the data keys of one page. */
  readonly keys: (page: { readonly after: string | null }) => Promise<KeyCensusView>;
};
