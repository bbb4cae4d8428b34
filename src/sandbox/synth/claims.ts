import type { Rng } from '../random.ts';
import {
  anyReference,
  type Builder,
  type Chart,
  concept,
  dateOf,
  instantOf,
  reference,
  type Spec,
  subject,
} from './chart.ts';
import { type Code, DIAGNOSES, MEDICATIONS, SERVICES, SYSTEMS } from './codes.ts';
import { decimal, type Json, type JsonObject, money } from './json.ts';

type ClaimKind = 'pharmacy' | 'professional' | 'institutional';

const PROFILES: Readonly<Record<ClaimKind, string>> = {
  pharmacy: 'C4BB-ExplanationOfBenefit-Pharmacy',
  professional: 'C4BB-ExplanationOfBenefit-Professional-NonClinician',
  institutional: 'C4BB-ExplanationOfBenefit-Inpatient-Institutional',
};
const TYPE_DISPLAY: Readonly<Record<ClaimKind, string>> = {
  pharmacy: 'Pharmacy',
  professional: 'Professional',
  institutional: 'Institutional',
};

/** Which of the three claim kinds the `ordinal`th claim is; half of them are pharmacy, as in life. */
function claimKind(ordinal: number): ClaimKind {
  if (ordinal % 2 === 0) return 'pharmacy';
  return ordinal % 6 === 5 ? 'institutional' : 'professional';
}

/** The CARIN BB profile of the `ordinal`th claim. */
export function claimProfile(ordinal: number): string {
  return `http://hl7.org/fhir/us/carin-bb/StructureDefinition/${PROFILES[claimKind(ordinal)]}|2.0.0`;
}

/** A C4BB ExplanationOfBenefit. Each later revision is an adjustment: other amounts and another process note. */
export const explanationOfBenefit: Builder = (chart, spec, rng) => {
  const kind = claimKind(spec.ordinal);
  const days = kind === 'institutional' ? rng.int(1, 6) : 0;
  const items = buildItems(kind, spec, rng, days);
  const allowedCents = items.reduce((sum, item) => sum + item.allowedCents, 0);
  const copayCents = Math.round(allowedCents * 0.1) + spec.revision;
  return {
    identifier: [
      {
        type: concept(SYSTEMS.c4bbIdentifier, ['uc', 'Unique Claim ID']),
        system: `${chart.sourceBase}/claim`,
        value: `CL${rng.int(1e9, 9e9)}`,
      },
    ],
    status: 'active',
    type: concept(SYSTEMS.claimType, [kind, TYPE_DISPLAY[kind]]),
    subType: kind === 'institutional' ? { coding: [{ code: 'inpatient' }] } : undefined,
    use: 'claim',
    patient: subject(chart),
    billablePeriod: { start: dateOf(spec.serviceMs), end: dateOf(spec.serviceMs, days) },
    created: instantOf(spec.serviceMs),
    insurer: reference(chart, 'Organization', 0),
    provider: anyReference(chart, 'Organization', rng) ?? reference(chart, 'Organization', 0),
    outcome: spec.revision === 0 ? rng.pick(['complete', 'complete', 'partial']) : 'complete',
    careTeam: careTeam(chart, rng),
    supportingInfo: supportingInfo(kind, spec, rng),
    diagnosis: kind === 'pharmacy' ? undefined : diagnoses(rng),
    insurance: [{ focal: true, coverage: reference(chart, 'Coverage', 0) }],
    item: items.map((item) => item.json),
    adjudication: [
      {
        category: concept(SYSTEMS.c4bbDiscriminator, ['billingnetworkstatus', 'Billing Network Status']),
        reason: concept(SYSTEMS.c4bbPayerStatus, ['innetwork', 'In Network']),
      },
    ],
    total: totals(allowedCents, copayCents),
    payment: { date: dateOf(spec.serviceMs, 14), amount: money(allowedCents - copayCents) },
    processNote:
      spec.revision === 0 ? undefined : [{ number: 1, text: `Réajusté / adjusted, version ${spec.revision}` }],
  };
};

function careTeam(chart: Chart, rng: Rng): Json {
  const provider = anyReference(chart, 'Practitioner', rng);
  if (provider === undefined) return [];
  return [{ sequence: 1, provider, role: concept(SYSTEMS.c4bbCareTeam, ['performing', 'Performing provider']) }];
}

function supportingInfo(kind: ClaimKind, spec: Spec, rng: Rng): Json {
  const received: JsonObject = {
    sequence: 1,
    category: concept(SYSTEMS.c4bbSupportingInfo, ['clmrecvddate', 'Claim Received Date']),
    timingDate: dateOf(spec.serviceMs, 2),
  };
  if (kind !== 'pharmacy') return [received];
  const counted = (sequence: number, code: Code, value: number): JsonObject => ({
    sequence,
    category: concept(SYSTEMS.c4bbSupportingInfo, code),
    valueQuantity: { value },
  });
  return [
    received,
    counted(2, ['dayssupply', 'Days Supply'], rng.pick([30, 60, 90])),
    counted(3, ['refillnum', 'Refill Number'], rng.int(0, 5)),
  ];
}

function diagnoses(rng: Rng): Json {
  return ['principal', 'secondary'].map((role, index) => ({
    sequence: index + 1,
    diagnosisCodeableConcept: concept(SYSTEMS.icd10, rng.pick(DIAGNOSES)),
    type: [concept('http://terminology.hl7.org/CodeSystem/ex-diagnosistype', [role, role])],
  }));
}

type Item = { readonly json: JsonObject; readonly allowedCents: number };

function buildItems(kind: ClaimKind, spec: Spec, rng: Rng, days: number): readonly Item[] {
  const lines = kind === 'pharmacy' ? 1 : rng.int(2, kind === 'institutional' ? 5 : 3);
  return Array.from({ length: lines }, (_unused, index) => {
    const submittedCents = rng.int(1200, 95000);
    const allowedCents = Math.round(submittedCents * (0.6 + 0.05 * (spec.revision % 5)));
    const [, medication, ndc] = rng.pick(MEDICATIONS);
    const json = {
      sequence: index + 1,
      revenue:
        kind === 'institutional' ? concept(SYSTEMS.revenue, ['0120', 'Room and board, semi-private']) : undefined,
      productOrService:
        kind === 'pharmacy' ? concept(SYSTEMS.ndc, [ndc, medication]) : concept(SYSTEMS.hcpcs, rng.pick(SERVICES)),
      servicedDate: dateOf(spec.serviceMs, Math.min(index, days)),
      locationCodeableConcept: kind === 'professional' ? concept(SYSTEMS.placeOfService, ['11', 'Office']) : undefined,
      // 1.00 on purpose: an exact decimal that JSON.parse and stringify would shorten.
      quantity: { value: kind === 'pharmacy' ? decimal('30.0') : decimal('1.00') },
      adjudication: itemAdjudication(submittedCents, allowedCents),
    };
    return { json, allowedCents };
  });
}

function itemAdjudication(submittedCents: number, allowedCents: number): Json {
  return [
    { category: concept(SYSTEMS.adjudication, ['submitted', 'Submitted Amount']), amount: money(submittedCents) },
    { category: concept(SYSTEMS.adjudication, ['eligible', 'Eligible Amount']), amount: money(allowedCents) },
    { category: concept(SYSTEMS.adjudication, ['deductible', 'Deductible']), amount: money(0) },
    {
      category: concept(SYSTEMS.c4bbAdjudication, ['noncovered', 'Noncovered']),
      amount: money(submittedCents - allowedCents),
    },
  ];
}

function totals(allowedCents: number, copayCents: number): Json {
  return [
    { category: concept(SYSTEMS.adjudication, ['eligible', 'Eligible Amount']), amount: money(allowedCents) },
    { category: concept(SYSTEMS.adjudication, ['copay', 'CoPay']), amount: money(copayCents) },
    {
      category: concept(SYSTEMS.adjudication, ['benefit', 'Benefit Amount']),
      amount: money(allowedCents - copayCents),
    },
    {
      category: concept(SYSTEMS.c4bbAdjudication, ['paidtoprovider', 'Paid to provider']),
      amount: money(allowedCents - copayCents),
    },
  ];
}
