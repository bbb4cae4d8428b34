import { LIMITS } from './limits.ts';
import type { Patient, Resource } from './patients.ts';
import { outcome, Refusal } from './reply.ts';
import { tagsOf } from './synth/build.ts';

/** The 23 types that can be searched (contract 3.4); those a patient has none of give an empty bundle. */
export const SEARCHABLE_TYPES: ReadonlySet<string> = new Set(
  (
    'AllergyIntolerance CarePlan CareTeam Condition Coverage Device DiagnosticReport DocumentReference Encounter ' +
    'ExplanationOfBenefit Goal Immunization Location Medication MedicationDispense MedicationRequest Observation ' +
    'Organization Patient Practitioner PractitionerRole Procedure Provenance'
  ).split(' '),
);

/** Parameters that the sandbox really filters by. Others are refused: an ignored filter would be a wrong answer. */
export const SEARCH_PARAMETERS = ['patient', '_id', '_lastUpdated', '_tag', '_count', '_offset'] as const;

export type Search = {
  /** The id named by `patient`, with `$PATIENT_ID` already replaced; null when there is none. */
  readonly patientId: string | null;
  readonly count: number;
  readonly offset: number;
  readonly matches: (patient: Patient, resource: Resource) => boolean;
  /** The filters to repeat in links: all but the patient and the page. */
  readonly carried: readonly (readonly [string, string])[];
};

/** Reads search parameters (contract 3.4, 3.5). @throws {Refusal} 422 processing for anything unknown or malformed. */
export function parseSearch(query: URLSearchParams): Search {
  for (const name of query.keys()) {
    if (!SEARCH_PARAMETERS.some((known) => known === name)) throw badSearch(`Unknown search parameter: ${name}`);
  }
  const ids = query.getAll('_id').map((value) => new Set(value.split(',')));
  const ranges = query.getAll('_lastUpdated').map(parseRange);
  const tags = query.getAll('_tag');
  return {
    patientId: parsePatient(query.getAll('patient')),
    count: Math.min(wholeNumber(query, '_count', LIMITS.pageDefault, 1), LIMITS.pageMax),
    offset: wholeNumber(query, '_offset', 0, 0),
    matches: (patient, { id, spec }) =>
      ids.every((set) => set.has(id)) &&
      ranges.every((inRange) => inRange(spec.lastUpdatedMs)) &&
      tags.every((tag) => tagsOf(patient.chart, spec.ordinal).some(([system, code]) => tag === `${system}|${code}`)),
    carried: [...query].filter(([name]) => name === '_id' || name === '_lastUpdated'),
  };
}

function parsePatient(values: readonly string[]): string | null {
  const ids = new Set(values.map((value) => value.replace(/^.*Patient\//, '')));
  if (ids.size > 1) throw badSearch('Only one patient can be searched at once');
  const [id] = ids;
  return id ?? null;
}

function wholeNumber(query: URLSearchParams, name: string, missing: number, min: number): number {
  const text = query.get(name);
  if (text === null) return missing;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value) || value < min) throw badSearch(`Invalid value of ${name}`);
  return value;
}

const DATE = /^(ge|gt|le|lt|eq)?(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2}))?$/;
const DAY_MS = 86_400_000;

/** A date stands for the whole span it names (FHIR search, 3.1.1.4.9): `gt` is after its end, `lt` before its start. */
function parseRange(value: string): (ms: number) => boolean {
  const [, prefix = 'eq', day = '', time, fraction] = DATE.exec(value) ?? [];
  const start = Date.parse(`${day}${time ?? 'T00:00:00Z'}`);
  if (Number.isNaN(start)) throw badSearch('Invalid value of _lastUpdated');
  const end = start + (time === undefined ? DAY_MS : fraction === undefined ? 1000 : 1);
  switch (prefix) {
    case 'ge':
      return (ms) => ms >= start;
    case 'gt':
      return (ms) => ms >= end;
    case 'le':
      return (ms) => ms < end;
    case 'lt':
      return (ms) => ms < start;
    default:
      return (ms) => ms >= start && ms < end;
  }
}

function badSearch(diagnostics: string): Refusal {
  return new Refusal(outcome(422, 'processing', diagnostics));
}
