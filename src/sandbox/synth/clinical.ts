import {
  anyReference,
  type Builder,
  type Chart,
  concept,
  dateOf,
  instantOf,
  quantity,
  type Spec,
  subject,
} from './chart.ts';
import { ALLERGENS, DIAGNOSES, LABS, MEDICATIONS, PROCEDURES, SYSTEMS, VACCINES, VITALS } from './codes.ts';
import { decimal, escaped, type Json } from './json.ts';

const TERMINOLOGY = 'http://terminology.hl7.org/CodeSystem';

/** What a later revision says about itself; the first one says nothing. */
function amendment(spec: Spec): Json | undefined {
  return spec.revision === 0
    ? undefined
    : [{ time: instantOf(spec.lastUpdatedMs), text: `Amended, revision ${spec.revision}` }];
}

function isVital(ordinal: number): boolean {
  return ordinal % 3 === 2;
}

/** The US Core profile of the `ordinal`th observation. */
export function observationProfile(ordinal: number): string {
  return isVital(ordinal) ? 'us-core-vital-signs' : 'us-core-observation-lab';
}

export const observation: Builder = (chart, spec, rng) => {
  const vital = isVital(spec.ordinal);
  const [code, display, unit, low, high, decimals] = rng.pick(vital ? VITALS : LABS);
  const value = low + (high - low) * rng.next() + spec.revision / 10 ** decimals;
  const category = vital ? (['vital-signs', 'Vital Signs'] as const) : (['laboratory', 'Laboratory'] as const);
  return {
    status: spec.revision === 0 ? 'final' : 'corrected',
    category: [concept(`${TERMINOLOGY}/observation-category`, category)],
    code: concept(SYSTEMS.loinc, [code, display], display),
    subject: subject(chart),
    encounter: anyReference(chart, 'Encounter', rng),
    effectiveDateTime: instantOf(spec.serviceMs),
    issued: instantOf(spec.serviceMs + 5_400_000),
    // toFixed keeps trailing zeros: 7.0 and 110.00 are how laboratories state their precision.
    valueQuantity: quantity(decimal(value.toFixed(decimals)), unit),
    referenceRange: vital
      ? undefined
      : [{ low: quantity(decimal('1.00'), unit), high: quantity(decimal('1.25E+2'), unit) }],
    note: amendment(spec),
  };
};

export const condition: Builder = (chart, spec, rng) => ({
  clinicalStatus: concept(
    `${TERMINOLOGY}/condition-clinical`,
    spec.revision % 2 === 0 ? ['active', 'Active'] : ['resolved', 'Resolved'],
  ),
  verificationStatus: concept(`${TERMINOLOGY}/condition-ver-status`, ['confirmed', 'Confirmed']),
  category: [concept(`${TERMINOLOGY}/condition-category`, ['problem-list-item', 'Problem List Item'])],
  code: concept(SYSTEMS.icd10, rng.pick(DIAGNOSES)),
  subject: subject(chart),
  encounter: anyReference(chart, 'Encounter', rng),
  onsetDateTime: dateOf(spec.serviceMs),
  recordedDate: dateOf(spec.serviceMs, 1),
  note: amendment(spec),
});

export const medicationRequest: Builder = (chart, spec, rng) => {
  const [rxnorm, display] = rng.pick(MEDICATIONS);
  return {
    contained: [{ resourceType: 'Medication', id: 'med', code: concept(SYSTEMS.rxnorm, [rxnorm, display]) }],
    status: spec.revision === 0 ? 'active' : 'stopped',
    intent: 'order',
    medicationReference: { reference: '#med', display },
    subject: subject(chart),
    encounter: anyReference(chart, 'Encounter', rng),
    authoredOn: dateOf(spec.serviceMs),
    requester: anyReference(chart, 'Practitioner', rng),
    dosageInstruction: [
      {
        text: escaped('1 tablet à 08:00 / day'),
        doseAndRate: [{ doseQuantity: { value: decimal('1.0'), unit: 'tablet' } }],
      },
    ],
    note: amendment(spec),
  };
};

export const immunization: Builder = (chart, spec, rng) => ({
  status: 'completed',
  vaccineCode: concept(SYSTEMS.cvx, rng.pick(VACCINES)),
  patient: subject(chart),
  encounter: anyReference(chart, 'Encounter', rng),
  occurrenceDateTime: dateOf(spec.serviceMs),
  primarySource: rng.next() < 0.8,
  lotNumber: `LOT${rng.int(1000, 9999)}`,
  doseQuantity: quantity(decimal('0.50'), 'mL'),
  note: amendment(spec),
});

export const encounter: Builder = (chart, spec, rng) => ({
  status: 'finished',
  class: { system: `${TERMINOLOGY}/v3-ActCode`, code: rng.pick(['AMB', 'IMP', 'EMER', 'VR']) },
  type: [concept(SYSTEMS.snomed, ['185349003', 'Encounter for check up'])],
  subject: subject(chart),
  participant: [{ individual: anyReference(chart, 'Practitioner', rng) }],
  period: { start: instantOf(spec.serviceMs), end: instantOf(spec.serviceMs + rng.int(10, 90) * 60_000) },
  serviceProvider: anyReference(chart, 'Organization', rng),
});

export const procedure: Builder = (chart, spec, rng) => ({
  status: 'completed',
  code: concept(SYSTEMS.snomed, rng.pick(PROCEDURES)),
  subject: subject(chart),
  encounter: anyReference(chart, 'Encounter', rng),
  performedDateTime: instantOf(spec.serviceMs),
  note: amendment(spec),
});

export const allergyIntolerance: Builder = (chart, spec, rng) => ({
  clinicalStatus: concept(`${TERMINOLOGY}/allergyintolerance-clinical`, ['active', 'Active']),
  verificationStatus: concept(`${TERMINOLOGY}/allergyintolerance-verification`, ['confirmed', 'Confirmed']),
  code: concept(SYSTEMS.snomed, rng.pick(ALLERGENS)),
  patient: subject(chart),
  recordedDate: dateOf(spec.serviceMs),
  criticality: rng.pick(['low', 'high', 'unable-to-assess']),
  note: amendment(spec),
});

export const diagnosticReport: Builder = (chart, spec, rng) => ({
  status: spec.revision === 0 ? 'final' : 'amended',
  category: [concept(`${TERMINOLOGY}/v2-0074`, ['LAB', 'Laboratory'])],
  code: concept(SYSTEMS.loinc, ['24323-8', 'Comprehensive metabolic 2000 panel - Serum or Plasma']),
  subject: subject(chart),
  encounter: anyReference(chart, 'Encounter', rng),
  effectiveDateTime: instantOf(spec.serviceMs),
  issued: instantOf(spec.serviceMs + 7_200_000),
  result: anyResult(chart, rng),
  conclusion: escaped(`Résultats dans les limites / within limits, reading ${spec.revision + 1}`),
});

function anyResult(chart: Chart, rng: Parameters<Builder>[2]): Json | undefined {
  const result = anyReference(chart, 'Observation', rng);
  return result && [result];
}

export const documentReference: Builder = (chart, spec, rng) => {
  const text = `Clinical note of ${dateOf(spec.serviceMs)}, version ${spec.revision + 1}. Patient reports feeling well. Référence ${rng.int(1, 1e6)}.`;
  return {
    status: 'current',
    docStatus: spec.revision === 0 ? 'final' : 'amended',
    type: concept(SYSTEMS.loinc, ['11506-3', 'Progress note']),
    category: [
      concept('http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category', [
        'clinical-note',
        'Clinical Note',
      ]),
    ],
    subject: subject(chart),
    date: instantOf(spec.serviceMs),
    content: [
      {
        attachment: { contentType: 'text/plain; charset=utf-8', data: Buffer.from(text.repeat(4)).toString('base64') },
      },
    ],
  };
};
