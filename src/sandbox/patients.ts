import type { Endpoint } from './directory.ts';
import { LIMITS, UNITS } from './limits.ts';
import { countOf, initialCounts, type Size } from './population.ts';
import { namedUuid, seededRng } from './random.ts';
import { buildResource } from './synth/build.ts';
import type { Chart, ResourceType, Spec } from './synth/chart.ts';

/** A resource as it is served now. */
export type Resource = { readonly spec: Spec; readonly id: string; readonly body: Buffer };

/** A patient's record at one endpoint. It is written when somebody first looks, so that thousands of patients cost nothing. */
export type Patient = {
  readonly index: number;
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly chart: Chart;
  readonly createdAtMs: number;
  /** By `Type/id`, in the order they were added; null until first read. */
  resources: Map<string, Resource> | null;
  readonly nextOrdinal: Map<ResourceType, number>;
  daysApplied: number;
  lastChangeMs: number;
  manualChanges: number;
  expunged: boolean;
};

/** A patient whose record follows from seed and index; only the dates come from `createdAtMs` (domain time). */
export function createPatient(options: {
  seed: number;
  index: number;
  endpoint: Endpoint;
  size: Size;
  createdAtMs: number;
  authorizationId: string;
}): Patient {
  const { endpoint, createdAtMs } = options;
  const key = `perennial-sandbox/${options.seed}/patient/${options.index}`;
  const initial = initialCounts(endpoint, countOf(options.size));
  const id = namedUuid(key);
  return {
    index: options.index,
    id,
    endpoint,
    chart: {
      key,
      patientId: id,
      authorizationId: options.authorizationId,
      endpointId: endpoint.id,
      payerName: endpoint.label[0] ?? endpoint.name,
      sourceBase: `https://fhir.${endpoint.name}.example/r4`,
      applicationId: namedUuid(`perennial-sandbox/${options.seed}/application`),
      initial,
    },
    createdAtMs,
    resources: null,
    nextOrdinal: new Map(initial),
    daysApplied: 0,
    lastChangeMs: createdAtMs,
    manualChanges: 0,
    expunged: false,
  };
}

/** The record as it stands, without letting time pass for it. */
export function recordOf(patient: Patient): Map<string, Resource> {
  if (patient.expunged) return new Map();
  patient.resources ??= writeInitial(patient);
  return patient.resources;
}

/** Empties the record for good (contract 3.1, `$expunge`). Returns how many resources it held. */
export function expungePatient(patient: Patient): number {
  const count = recordOf(patient).size;
  patient.expunged = true;
  patient.resources = null;
  return count;
}

/** Writes one more resource of `type`, served in that patient on or shortly before `atMs`. Returns its key. */
export function addResource(patient: Patient, type: ResourceType, atMs: number): string {
  const ordinal = patient.nextOrdinal.get(type) ?? 0;
  patient.nextOrdinal.set(type, ordinal + 1);
  const serviceMs = atMs - seededRng(`${patient.chart.key}/service/${type}/${ordinal}`).int(1, 5) * UNITS.DAY_MS;
  return put(patient, recordOf(patient), { type, ordinal, revision: 0, serviceMs, lastUpdatedMs: atMs });
}

/** Rewrites one resource in its next revision; its place in the search order stays. */
export function editResource(patient: Patient, key: string, atMs: number): void {
  const record = recordOf(patient);
  const current = record.get(key);
  if (current === undefined) return;
  put(patient, record, { ...current.spec, revision: current.spec.revision + 1, lastUpdatedMs: atMs });
}

function writeInitial(patient: Patient): Map<string, Resource> {
  const record = new Map<string, Resource>();
  const anchorMs = patient.createdAtMs - (patient.createdAtMs % UNITS.DAY_MS);
  for (const [type, count] of patient.chart.initial) {
    for (let ordinal = 0; ordinal < Math.min(count, LIMITS.resourcesPerPatient); ordinal++) {
      const rng = seededRng(`${patient.chart.key}/service/${type}/${ordinal}`);
      const serviceMs = anchorMs - rng.int(2, 1095) * UNITS.DAY_MS + rng.int(8, 17) * UNITS.HOUR_MS;
      put(patient, record, { type, ordinal, revision: 0, serviceMs, lastUpdatedMs: patient.createdAtMs });
    }
  }
  return record;
}

function put(patient: Patient, record: Map<string, Resource>, spec: Spec): string {
  const { id, body } = buildResource(patient.chart, spec);
  const key = `${spec.type}/${id}`;
  record.set(key, { spec, id, body });
  return key;
}
