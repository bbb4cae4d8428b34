import { namedUuid, seededRng } from '../random.ts';
import { type Builder, type Chart, instantOf, type ResourceType, resourceId, type Spec } from './chart.ts';
import { claimProfile, explanationOfBenefit } from './claims.ts';
import * as clinical from './clinical.ts';
import { type Json, type JsonObject, toBytes } from './json.ts';
import { coverage, organization, patient, practitioner } from './people.ts';

const BUILDERS: Readonly<Record<ResourceType, Builder>> = {
  Patient: patient,
  Coverage: coverage,
  Organization: organization,
  Practitioner: practitioner,
  Encounter: clinical.encounter,
  ExplanationOfBenefit: explanationOfBenefit,
  Condition: clinical.condition,
  Observation: clinical.observation,
  MedicationRequest: clinical.medicationRequest,
  Immunization: clinical.immunization,
  Procedure: clinical.procedure,
  AllergyIntolerance: clinical.allergyIntolerance,
  DiagnosticReport: clinical.diagnosticReport,
  DocumentReference: clinical.documentReference,
};

const US_CORE_PROFILES: Readonly<Partial<Record<ResourceType, string>>> = {
  Patient: 'us-core-patient',
  Encounter: 'us-core-encounter',
  Condition: 'us-core-condition-problems-health-concerns',
  MedicationRequest: 'us-core-medicationrequest',
  Immunization: 'us-core-immunization',
  Procedure: 'us-core-procedure',
  AllergyIntolerance: 'us-core-allergyintolerance',
  DiagnosticReport: 'us-core-diagnosticreport-lab',
  DocumentReference: 'us-core-documentreference',
};

/** The tag systems of contract 3.6; the mode has two names, because its renaming was not retroactive. */
export const TAG_BASE = 'https://fhir.flexpa.com/identifiers';

/** The bytes of one resource as the sandbox serves it: all of it follows from the chart and the spec. */
export function buildResource(chart: Chart, spec: Spec): { readonly id: string; readonly body: Buffer } {
  const id = resourceId(chart, spec.type, spec.ordinal);
  // The revision is not in the key: an edited resource keeps everything but what its builder changes on purpose.
  const rng = seededRng(`${chart.key}/${spec.type}/${spec.ordinal}`);
  const content = BUILDERS[spec.type](chart, spec, rng);
  const ownIdentifiers = content['identifier'];
  const identifier = [...(Array.isArray(ownIdentifiers) ? ownIdentifiers : []), sourceIdentifier(chart, spec)];
  return { id, body: toBytes({ resourceType: spec.type, id, meta: meta(chart, spec, id), ...content, identifier }) };
}

/** The tags that every resource of this chart carries, as [system, code]. */
export function tagsOf(chart: Chart, ordinal: number): readonly (readonly [string, string])[] {
  return [
    [`${TAG_BASE}/PatientAccessTokenId`, chart.authorizationId],
    [`${TAG_BASE}/EndpointId`, chart.endpointId],
    [`${TAG_BASE}/ApplicationId`, chart.applicationId],
    [`${TAG_BASE}/${ordinal % 3 === 0 ? 'PatientAccessTokenMode' : 'PatientAuthorizationMode'}`, 'TEST'],
  ];
}

function meta(chart: Chart, spec: Spec, id: string): JsonObject {
  return {
    versionId: namedUuid(`${id}/version/${spec.revision}`),
    lastUpdated: instantOf(spec.lastUpdatedMs),
    source: `${chart.sourceBase}/${spec.type}/${sourceId(chart, spec)}`,
    profile: profiles(spec),
    tag: tagsOf(chart, spec.ordinal).map(([system, code]) => ({ system, code })),
  };
}

function profiles(spec: Spec): Json | undefined {
  if (spec.type === 'ExplanationOfBenefit') return [claimProfile(spec.ordinal)];
  if (spec.type === 'Coverage') return ['http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-Coverage|2.0.0'];
  const name = spec.type === 'Observation' ? clinical.observationProfile(spec.ordinal) : US_CORE_PROFILES[spec.type];
  return name && [`http://hl7.org/fhir/us/core/StructureDefinition/${name}`];
}

function sourceId(chart: Chart, spec: Spec): string {
  return `${chart.patientId.slice(0, 8)}-${spec.ordinal + 1}`;
}

function sourceIdentifier(chart: Chart, spec: Spec): JsonObject {
  return { system: `${chart.sourceBase}/${spec.type}/SourceResourceId`, value: sourceId(chart, spec) };
}
