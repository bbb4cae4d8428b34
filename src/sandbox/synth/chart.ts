import { UNITS } from '../limits.ts';
import { namedUuid, type Rng } from '../random.ts';
import { type Code, SYSTEMS } from './codes.ts';
import type { Json, JsonObject } from './json.ts';

export const RESOURCE_TYPES = [
  'Patient',
  'Coverage',
  'Organization',
  'Practitioner',
  'Encounter',
  'ExplanationOfBenefit',
  'Condition',
  'Observation',
  'MedicationRequest',
  'Immunization',
  'Procedure',
  'AllergyIntolerance',
  'DiagnosticReport',
  'DocumentReference',
] as const;
export type ResourceType = (typeof RESOURCE_TYPES)[number];

/** What every resource of one patient is derived from. */
export type Chart = {
  /** Seed and patient index: all that the content depends on, besides the dates. */
  readonly key: string;
  readonly patientId: string;
  readonly authorizationId: string;
  readonly endpointId: string;
  readonly payerName: string;
  readonly sourceBase: string;
  readonly applicationId: string;
  /** How many resources of each type the patient starts with; references point into these. */
  readonly initial: ReadonlyMap<ResourceType, number>;
};

/** One resource to write: the `ordinal`th of its type, in its `revision`th wording. Times are domain milliseconds. */
export type Spec = {
  readonly type: ResourceType;
  readonly ordinal: number;
  readonly revision: number;
  readonly serviceMs: number;
  readonly lastUpdatedMs: number;
};

export type Builder = (chart: Chart, spec: Spec, rng: Rng) => JsonObject;

/** The id of a resource: stable over revisions, and known without the resource, so that references cost no lookup. */
export function resourceId(chart: Chart, type: ResourceType, ordinal: number): string {
  return type === 'Patient' && ordinal === 0 ? chart.patientId : namedUuid(`${chart.key}/${type}/${ordinal}`);
}

export function reference(chart: Chart, type: ResourceType, ordinal: number): JsonObject {
  return { reference: `${type}/${resourceId(chart, type, ordinal)}` };
}

/** A reference to any of the patient's first resources of `type`; left out where there is none. */
export function anyReference(chart: Chart, type: ResourceType, rng: Rng): JsonObject | undefined {
  const count = chart.initial.get(type) ?? 0;
  return count === 0 ? undefined : reference(chart, type, rng.int(0, count - 1));
}

/** A CodeableConcept of one coding. */
export function concept(system: string, [code, display]: Code, text?: Json): JsonObject {
  return { coding: [{ system, code, display }], text };
}

/** The patient's own reference, as a `subject` or `patient` element. */
export function subject(chart: Chart): JsonObject {
  return { reference: `Patient/${chart.patientId}` };
}

export function quantity(value: Json, unit: string): JsonObject {
  return { value, unit, system: SYSTEMS.ucum, code: unit };
}

/** `YYYY-MM-DD`, `days` after the instant. */
export function dateOf(ms: number, days = 0): string {
  return instantOf(ms + days * UNITS.DAY_MS).slice(0, 10);
}

export function instantOf(ms: number): string {
  return new Date(ms).toISOString();
}
