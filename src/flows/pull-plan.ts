import type { Source } from '../core/ports/upstream.ts';
import type { PlannedRequest } from '../core/pull-state.ts';
import { openTokens } from './token-vault.ts';
import type { Work } from './work.ts';

/** The address of a planned request's first page. `patient` is the bare id, or null where only the token knows it. */
export function urlOf({
  source,
  request: { type, since },
  patient,
}: {
  readonly source: Source;
  readonly request: PlannedRequest;
  readonly patient: string | null;
}): string {
  const base = source.fhirBaseUrl.replace(/\/$/, '');
  const id = encodeURIComponent(patient ?? '$PATIENT_ID');
  if (type === null) return `${base}/Patient/${id}/$everything`;
  const wanted = type === 'Patient' ? source.patientQuery : source.searchQuery;
  const query = wanted.replaceAll('$PATIENT_ID', id);
  const changed = since === null ? '' : `_lastUpdated=gt${new Date(Math.floor(since)).toISOString()}`;
  return `${base}/${type}?${[query, changed].filter((part) => part !== '').join('&')}`;
}

/** The bare id of the patient: Flexpa says `Patient/123`, SMART says `123` (contract, sections 1.2 and 8.3). Opened for one pull, it stays in memory. */
export async function patientOf({ context, authorization, key }: Work): Promise<string | null> {
  const row = await context.store.tokens(authorization.id);
  const patient = row === null ? null : openTokens({ key, row }).patient;
  return patient === null ? null : patient.reveal().replace(/^Patient\//, '');
}
