/**
 * The one catalogue of everything that can go wrong: what to do about it (`retry`), whose doing it is (`blame`), whether the
 * audit trail keeps it (`audit`), which HTTP status a caller sees, and one constant sentence. No sentence carries a value.
 */
type Entry = {
  readonly retry: 'never' | 'later' | 'after_hint';
  readonly blame: 'caller' | 'operator' | 'upstream' | 'patient' | 'us';
  readonly audit: boolean;
  readonly status: number;
  readonly message: string;
};

export const ERRORS = {
  invalid_request: entry('never', 'caller', false, 400, 'The request does not fit the contract'),
  malformed_json: entry('never', 'caller', false, 400, 'The body is not JSON'),
  body_too_large: entry('never', 'caller', false, 413, 'The body is larger than allowed'),
  unsupported_media_type: entry('never', 'caller', false, 415, 'The body must be application/json'),
  unauthenticated: entry('never', 'caller', false, 401, 'A valid API key is needed'),
  forbidden: entry('never', 'caller', true, 403, 'This API key may not do that'),
  hook_refused: entry('never', 'caller', false, 401, 'The webhook is not signed as it must be, or is too old'),
  not_found: entry('never', 'caller', false, 404, 'There is no such thing here'),
  authorization_not_found: entry('never', 'caller', false, 404, 'There is no authorization with this id'),
  authorization_conflict: entry('never', 'caller', true, 409, 'An authorization with this id and other content exists'),
  authorization_purged: entry('never', 'caller', true, 410, 'This authorization is purged; take a new id'),
  authorization_ended: entry('never', 'caller', false, 410, 'This authorization has ended; its records are gone'),
  authorization_not_active: entry('never', 'caller', false, 409, 'This authorization is not active'),
  not_quarantined: entry('never', 'caller', false, 409, 'This authorization is not quarantined'),
  cursor_moved: entry('never', 'caller', false, 409, 'The records are as of another cursor than the one asked for'),
  nothing_suspected: entry('never', 'caller', false, 409, 'No removals of this resource type are suspected'),
  public_token_unsupported: entry(
    'never',
    'caller',
    false,
    422,
    'This source exchanges no public tokens; send its tokens',
  ),
  unknown_source: entry('never', 'caller', false, 422, 'No source of this name is configured'),
  token_expired: entry('never', 'caller', false, 422, 'The access token has expired already'),
  sealed_request_unreadable: entry('never', 'caller', true, 422, 'The sealed request cannot be opened with our keys'),

  config_invalid: entry('never', 'operator', false, 500, 'The configuration does not fit'),
  database_newer: entry('never', 'operator', false, 500, 'The database was migrated by a newer version of Perennial'),
  database_unreachable: entry('later', 'operator', false, 503, 'The database does not answer'),
  queue_unreachable: entry('later', 'operator', false, 503, 'The queue does not answer'),
  queue_evicts: entry('never', 'operator', false, 500, 'Redis may evict keys: set maxmemory-policy to noeviction'),
  data_dir_in_use: entry('never', 'operator', false, 500, 'Another process uses this DATA_DIR'),
  key_missing: entry('never', 'operator', true, 500, 'The data key of this authorization is not in the key store'),
  unseal_failed: entry('never', 'operator', true, 500, 'A sealed value does not open: wrong key or altered bytes'),
  source_refused_us: entry('later', 'operator', true, 502, 'The source refuses our client credentials'),

  lease_taken: entry('later', 'us', false, 409, 'Another worker holds this authorization'),
  superseded: entry('never', 'us', false, 409, 'A newer lease holder wrote first'),
  cancelled: entry('later', 'us', false, 503, 'The process is shutting down'),
  internal: entry('later', 'us', true, 500, 'Something went wrong on our side'),

  gate_closed: entry('after_hint', 'upstream', false, 503, 'The endpoint has all that it may get of us just now'),
  upstream_unavailable: entry('later', 'upstream', false, 502, 'The source does not answer'),
  upstream_timeout: entry('later', 'upstream', false, 504, 'The source did not answer in time'),
  upstream_cut_short: entry('later', 'upstream', true, 502, 'The answer of the source is incomplete or damaged'),
  refresh_unsure: entry('later', 'upstream', true, 503, 'A refresh was sent and its outcome is not known yet'),
  upstream_throttled: entry('after_hint', 'upstream', false, 503, 'The source throttles us'),
  upstream_syncing: entry('after_hint', 'upstream', false, 503, 'The source is still loading the patient'),
  upstream_sync_failed: entry('later', 'upstream', true, 502, 'The source could not load the patient'),
  upstream_malformed: entry('later', 'upstream', true, 502, 'The source sent an answer that is not FHIR'),
  upstream_too_large: entry('later', 'upstream', true, 502, 'The source sent more than the limit allows'),
  upstream_link_refused: entry('later', 'upstream', true, 502, 'The source sent a next link that leads elsewhere'),
  upstream_address_refused: entry('never', 'operator', true, 502, 'The source resolves to a private address'),
  type_refused: entry('never', 'upstream', false, 502, 'The source refuses this resource type'),
  token_rejected: entry('later', 'patient', true, 401, 'The source rejects the access token'),
  authorization_dead: entry('never', 'patient', true, 410, 'The patient has to authorize again'),
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof ERRORS;

function entry(retry: Entry['retry'], blame: Entry['blame'], audit: boolean, status: number, message: string): Entry {
  return { retry, blame, audit, status, message };
}

/**
 * The only error that crosses an adapter. Its message is the catalogue's constant; `field` names what was wrong with a
 * request or a setting, never its value. A library's error is translated into one of these and not kept as `cause`,
 * because oauth4webapi and pg keep tokens and parameters in theirs.
 */
export class PerennialError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, details: { readonly field?: string; readonly retryAfterMs?: number } = {}) {
    super(details.field === undefined ? ERRORS[code].message : `${ERRORS[code].message}: ${details.field}`);
    this.name = 'PerennialError';
    this.code = code;
    this.field = details.field;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** The catalogue's code of anything thrown; what we did not throw ourselves is `internal`. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof PerennialError ? error.code : 'internal';
}
