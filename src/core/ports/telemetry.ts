/** All that a log line may carry beside its event name. Closed on purpose: a token or a name has no field to travel in. */
export type LogFields = {
  readonly authorizationId?: string;
  readonly source?: string;
  readonly network?: string;
  readonly endpointId?: string;
  readonly service?: string;
  readonly queue?: string;
  readonly job?: string;
  readonly outcome?: string;
  readonly state?: string;
  readonly reason?: string;
  readonly code?: string;
  readonly durationMs?: number;
  readonly count?: number;
  readonly added?: number;
  readonly modified?: number;
  readonly removed?: number;
  readonly pages?: number;
  readonly bytes?: number;
  readonly status?: number;
  readonly route?: string;
  readonly address?: string;
  readonly field?: string;
  readonly frames?: string;
};

export type Log = {
  readonly info: (event: string, fields?: LogFields) => void;
  readonly warn: (event: string, fields?: LogFields) => void;
  readonly error: (event: string, fields?: LogFields) => void;
};

/** What is counted. Labels are from closed sets, so that the number of series stays small. */
export type Metrics = {
  readonly refresh: (labels: {
    readonly network: string;
    readonly outcome: string;
    readonly durationMs: number;
  }) => void;
  readonly pull: (labels: { readonly network: string; readonly result: string; readonly durationMs: number }) => void;
  readonly records: (labels: { readonly added: number; readonly modified: number; readonly removed: number }) => void;
  /** Entries of pages that were not stored, by name of the reason. */
  readonly refused: (labels: { readonly reason: string; readonly count: number }) => void;
  readonly purge: (labels: { readonly reason: string; readonly lagMs: number }) => void;
  readonly job: (labels: { readonly queue: string; readonly outcome: string; readonly durationMs: number }) => void;
  /** A run that a gate has turned away. */
  readonly turnedAway: (labels: { readonly reason: string }) => void;
  /** Webhooks by what they tell and what became of them. */
  readonly hook: (labels: { readonly event: string; readonly outcome: string }) => void;
  readonly repaired: (labels: { readonly what: string }) => void;
  /** An authorization was set aside because its workers die. */
  readonly quarantined: (labels: { readonly network: string }) => void;
  /** What the reconciler found different in the queue and repaired: how it differed, and why it was repaired. */
  readonly drift: (labels: { readonly what: string; readonly reason: string }) => void;
};
