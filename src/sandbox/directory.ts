import { UNITS } from './limits.ts';
import { namedUuid } from './random.ts';

export type Network = 'TEFCA_IAS' | 'CMS_9115' | 'ONC_G10';

/** One payer or provider that a patient can connect (contract 5). `network` is ours: Flexpa does not name it there. */
export type Endpoint = {
  readonly id: string;
  readonly name: string;
  readonly label: readonly string[];
  readonly network: Network;
  readonly refreshable: boolean;
  readonly resources: readonly string[];
  /** Seconds that a refresh token stays valid; null where there is none. */
  readonly refreshValidFor: number | null;
  /** Seconds that the whole authorization can last; null where there is no cap. */
  readonly maxAuthPeriod: number | null;
  readonly status: 'CONNECTED' | 'UNAVAILABLE';
  readonly organizationId: string;
};

const ADMINISTRATIVE = ['Patient', 'Organization', 'Practitioner'];
const CLAIMS = ['Coverage', 'ExplanationOfBenefit'];
const CLINICAL = [
  'Encounter',
  'Condition',
  'Observation',
  'MedicationRequest',
  'Immunization',
  'Procedure',
  'AllergyIntolerance',
  'DiagnosticReport',
  'DocumentReference',
];

const DAY_S = UNITS.DAY_MS / UNITS.SECOND_MS;
const REFRESH_VALID_S = 90 * DAY_S;

type Row = readonly [
  name: string,
  label: string,
  network: Network,
  refreshable: boolean,
  maxAuthDays: number | null,
  status?: 'UNAVAILABLE',
];

const ROWS: readonly Row[] = [
  ['meadowlark-health-plan', 'Meadowlark Health Plan', 'CMS_9115', true, null],
  ['northwind-medicare', 'Northwind Medicare Advantage', 'CMS_9115', true, 365],
  ['copper-canyon-mutual', 'Copper Canyon Mutual', 'CMS_9115', true, 180],
  ['old-harbor-insurance', 'Old Harbor Insurance', 'CMS_9115', false, 1],
  ['riverbend-clinic', 'Riverbend Clinic', 'ONC_G10', true, null],
  ['saint-orla-hospital', 'Saint Orla Hospital', 'ONC_G10', true, 365],
  ['pinecrest-family-practice', 'Pinecrest Family Practice', 'ONC_G10', false, 1],
  ['commons-exchange', 'Commons Health Exchange', 'TEFCA_IAS', true, null],
  ['lakeshore-qhin', 'Lakeshore QHIN', 'TEFCA_IAS', true, 730],
  ['prairie-exchange', 'Prairie Exchange', 'TEFCA_IAS', false, 1],
  ['sundown-dental', 'Sundown Dental', 'CMS_9115', true, null, 'UNAVAILABLE'],
];

/** The sandbox's network directory: all three networks, each with refreshable and non-refreshable endpoints. */
export function seedDirectory(seed: number): readonly Endpoint[] {
  return ROWS.map(([name, label, network, refreshable, maxAuthDays, status]) => ({
    id: namedUuid(`perennial-sandbox/${seed}/endpoint/${name}`),
    name,
    label: [label],
    network,
    refreshable,
    resources: [...ADMINISTRATIVE, ...(network === 'ONC_G10' ? [] : CLAIMS), ...CLINICAL],
    refreshValidFor: refreshable ? REFRESH_VALID_S : null,
    maxAuthPeriod: maxAuthDays === null ? null : maxAuthDays * DAY_S,
    status: status ?? 'CONNECTED',
    organizationId: namedUuid(`perennial-sandbox/${seed}/organization/${name}`),
  }));
}
