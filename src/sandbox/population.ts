import type { Endpoint, Network } from './directory.ts';
import { RESOURCE_TYPES, type ResourceType } from './synth/chart.ts';

export type Size = 'small' | 'medium' | 'large' | number;

const NAMED_SIZES = { small: 24, medium: 150, large: 1500 } as const;

/** How a record divides among the types, in parts; a payer's is mostly claims, a provider's mostly observations. */
const MIX: Readonly<Record<Network, Readonly<Partial<Record<ResourceType, number>>>>> = {
  CMS_9115: mix(58, 12),
  ONC_G10: mix(0, 50),
  TEFCA_IAS: mix(20, 38),
};

/** Resources that a patient of `size` starts with. */
export function countOf(size: Size): number {
  return typeof size === 'number' ? size : NAMED_SIZES[size];
}

/** How many resources of each type a new patient has; the sum is exactly `total`, and every type has one where there is room. */
export function initialCounts(endpoint: Endpoint, total: number): ReadonlyMap<ResourceType, number> {
  const parts = MIX[endpoint.network];
  const types = RESOURCE_TYPES.filter((type) => endpoint.resources.includes(type) && (parts[type] ?? 0) > 0);
  const counts = new Map<ResourceType, number>();
  for (const type of types.slice(0, total)) counts.set(type, 1);
  const rest = total - counts.size;
  const partsTotal = types.reduce((sum, type) => sum + repeatable(type, parts), 0);
  let given = 0;
  for (const type of types) {
    const share = Math.floor((rest * repeatable(type, parts)) / partsTotal);
    given += share;
    counts.set(type, (counts.get(type) ?? 0) + share);
  }
  const largest = mainType(endpoint);
  counts.set(largest, (counts.get(largest) ?? 0) + rest - given);
  return new Map([...counts].filter(([, count]) => count > 0));
}

/** The type that this endpoint's new resources mostly are. */
export function mainType(endpoint: Endpoint): ResourceType {
  return endpoint.network === 'CMS_9115' ? 'ExplanationOfBenefit' : 'Observation';
}

function repeatable(type: ResourceType, parts: Readonly<Partial<Record<ResourceType, number>>>): number {
  return type === 'Patient' || type === 'Coverage' ? 0 : (parts[type] ?? 0);
}

function mix(claims: number, observations: number): Readonly<Partial<Record<ResourceType, number>>> {
  return {
    Patient: 1,
    Coverage: 1,
    Organization: 2,
    Practitioner: 3,
    Encounter: 6,
    ExplanationOfBenefit: claims,
    Condition: 5,
    Observation: observations,
    MedicationRequest: 6,
    Immunization: 3,
    Procedure: 3,
    AllergyIntolerance: 1,
    DiagnosticReport: 3,
    DocumentReference: 2,
  };
}
