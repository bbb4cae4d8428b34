import { type Builder, concept, dateOf, reference, resourceId, subject } from './chart.ts';
import { SYSTEMS } from './codes.ts';
import { escaped, type Json } from './json.ts';
import { CITIES, CLINICS, FAMILY_NAMES, GIVEN_NAMES, STREETS } from './names.ts';

const US_CORE = 'http://hl7.org/fhir/us/core/StructureDefinition';
const IDENTIFIER_TYPE = 'http://terminology.hl7.org/CodeSystem/v2-0203';
const DATA_ABSENT = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason';

/** The C4BB / US Core Patient: with an escaped family name, and now and then a given name that is null and explained. */
export const patient: Builder = (chart, spec, rng) => {
  const given = rng.pick(GIVEN_NAMES);
  const [city, state, postalCode] = rng.pick(CITIES);
  const withUnknownMiddle = rng.next() < 0.3;
  const middle: Json = withUnknownMiddle ? [given, null] : [given, rng.pick(GIVEN_NAMES)];
  const unknown: Json = [null, { extension: [{ url: DATA_ABSENT, valueCode: 'masked' }] }];
  return {
    extension: [{ url: `${US_CORE}/us-core-birthsex`, valueCode: rng.pick(['F', 'M']) }],
    identifier: [
      {
        type: concept(IDENTIFIER_TYPE, ['MB', 'Member Number']),
        system: chart.sourceBase,
        value: `M${rng.int(1e7, 9e7)}`,
      },
    ],
    active: true,
    name: [
      {
        use: 'official',
        family: escaped(rng.pick(FAMILY_NAMES)),
        given: middle,
        _given: withUnknownMiddle ? unknown : undefined,
      },
    ],
    gender: rng.pick(['female', 'male', 'other']),
    birthDate: `${rng.int(1938, 2001)}-${String(rng.int(1, 12)).padStart(2, '0')}-${String(rng.int(1, 28)).padStart(2, '0')}`,
    address: [
      { line: [`${rng.int(1, 9999) + spec.revision} ${rng.pick(STREETS)}`], city, state, postalCode, country: 'US' },
    ],
  };
};

export const coverage: Builder = (chart, spec, rng) => {
  const subscriber = `S${rng.int(1e8, 9e8)}`;
  return {
    identifier: [
      { type: concept(IDENTIFIER_TYPE, ['MB', 'Member Number']), system: chart.sourceBase, value: subscriber },
    ],
    status: 'active',
    type: concept('http://terminology.hl7.org/CodeSystem/v3-ActCode', ['EHCPOL', 'extended healthcare']),
    subscriberId: subscriber,
    beneficiary: subject(chart),
    relationship: concept('http://terminology.hl7.org/CodeSystem/subscriber-relationship', ['self', 'Self']),
    period: { start: dateOf(spec.serviceMs, -900), end: dateOf(spec.serviceMs, 900) },
    payor: [reference(chart, 'Organization', 0)],
    class: [
      {
        type: concept('http://terminology.hl7.org/CodeSystem/coverage-class', ['plan', 'Plan']),
        value: `PLN-${rng.int(100, 999)}`,
        name: `${chart.payerName} Sélect Plus`,
      },
    ],
  };
};

export const organization: Builder = (chart, spec, rng) => {
  const payer = spec.ordinal === 0;
  return {
    identifier: [{ system: SYSTEMS.npi, value: `1${rng.int(100000000, 999999999)}` }],
    active: true,
    type: [
      concept(
        'http://terminology.hl7.org/CodeSystem/organization-type',
        payer ? ['pay', 'Payer'] : ['prov', 'Healthcare Provider'],
      ),
    ],
    name: payer ? chart.payerName : rng.pick(CLINICS),
    telecom: [{ system: 'phone', value: `(555) 01${rng.int(10, 99)}-0100` }],
  };
};

export const practitioner: Builder = (chart, spec, rng) => ({
  identifier: [
    { system: SYSTEMS.npi, value: `1${rng.int(100000000, 999999999)}` },
    { system: `${chart.sourceBase}/staff`, value: resourceId(chart, 'Practitioner', spec.ordinal).slice(0, 8) },
  ],
  active: true,
  name: [{ family: rng.pick(FAMILY_NAMES), given: [rng.pick(GIVEN_NAMES)], prefix: ['Dr.'] }],
});
