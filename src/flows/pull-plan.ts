import { openTokens } from './token-vault.ts';
import type { Work } from './work.ts';

/** One search or operation that a pull makes; `type` is null where all types come together. */
export type PullRequest = { readonly type: string | null; readonly url: string };

/** What to ask the source for, in which order. The patient's id is opened for it and stays in memory. */
export async function planPull({ work }: { readonly work: Work }): Promise<readonly PullRequest[]> {
  const { source } = work;
  const patient = await patientOf(work);
  const base = source.fhirBaseUrl.replace(/\/$/, '');
  if (source.pullBy === 'everything') {
    return [{ type: null, url: `${base}/Patient/${encodeURIComponent(patient)}/$everything` }];
  }
  return source.resourceTypes.map((type) => {
    const wanted = type === 'Patient' ? source.patientQuery : source.searchQuery;
    const query = wanted.replaceAll('$PATIENT_ID', encodeURIComponent(patient));
    return { type, url: `${base}/${type}?${query}` };
  });
}

/** The bare id of the patient: Flexpa says `Patient/123`, SMART says `123` (contract, sections 1.2 and 8.3). */
async function patientOf({ context, authorization, key }: Work): Promise<string> {
  const row = await context.store.tokens(authorization.id);
  const patient = row === null ? null : openTokens({ key, row }).patient;
  return patient === null ? '$PATIENT_ID' : patient.reveal().replace(/^Patient\//, '');
}
