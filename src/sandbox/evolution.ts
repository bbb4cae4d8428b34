import type { Knobs } from './knobs.ts';
import { LIMITS, UNITS } from './limits.ts';
import { addResource, editResource, type Patient, recordOf } from './patients.ts';
import { mainType } from './population.ts';
import { type Rng, seededRng } from './random.ts';
import type { ResourceType } from './synth/chart.ts';

type Counts = { readonly add: number; readonly edit: number; readonly remove: number };
export type Changes = {
  readonly added: readonly string[];
  readonly edited: readonly string[];
  readonly removed: readonly string[];
};

/** What a payer or provider corrects or withdraws; people, places, coverages and encounters stay, since others refer to them. */
const CHANGEABLE: ReadonlySet<ResourceType> = new Set([
  'ExplanationOfBenefit',
  'Condition',
  'Observation',
  'MedicationRequest',
  'Immunization',
  'Procedure',
  'AllergyIntolerance',
  'DiagnosticReport',
  'DocumentReference',
]);

const SYNC_DAYS = { daily: 1, weekly: 7, monthly: 30 } as const;

/** Below this many resources a patient is one who seldom sees a doctor, and a day may bring nothing. */
const QUIET_BELOW = 60;

/** When the sync of day `day` (1, 2, ...) reaches the store; patients are spread over the day. */
function syncAtMs(patient: Patient, day: number): number {
  const fraction = 0.1 + 0.8 * seededRng(`${patient.chart.key}/sync-time`).next();
  return Math.floor(patient.createdAtMs + (day - 1 + fraction) * UNITS.DAY_MS);
}

function syncedDays(patient: Patient, knobs: Knobs, nowMs: number): number {
  const everyDays = SYNC_DAYS[knobs.syncFrequency];
  const passed = Math.floor((nowMs - syncAtMs(patient, 1)) / UNITS.DAY_MS) + 1;
  return Math.floor(Math.max(0, passed) / everyDays) * everyDays;
}

/** When the latest sync before `nowMs` reached the store, or null when there was none since the first. */
export function latestSyncMs(patient: Patient, knobs: Knobs, nowMs: number): number | null {
  const days = syncedDays(patient, knobs, nowMs);
  return days === 0 ? null : syncAtMs(patient, days);
}

/**
 * Lets the days up to `nowMs` happen to a patient: what changes on a day follows from seed, patient and day alone, and
 * `lastUpdated` is the instant of the sync that brought it. At most `LIMITS.evolutionDaysPerCall` days a call.
 */
export function evolve(patient: Patient, knobs: Knobs, nowMs: number): void {
  if (!knobs.evolves || patient.expunged) return;
  const due = Math.min(syncedDays(patient, knobs, nowMs), patient.daysApplied + LIMITS.evolutionDaysPerCall);
  const everyDays = SYNC_DAYS[knobs.syncFrequency];
  while (patient.daysApplied < due) {
    patient.daysApplied += 1;
    const day = patient.daysApplied;
    const rng = seededRng(`${patient.chart.key}/day/${day}`);
    const counts = countsOfDay(patient, day, rng);
    applyChanges({ patient, counts, atMs: syncAtMs(patient, Math.ceil(day / everyDays) * everyDays), rng });
  }
}

/** Adds, edits and removes that many resources at `atMs`; fewer where the record has not enough that may change. */
export function applyChanges(options: { patient: Patient; counts: Counts; atMs: number; rng: Rng }): Changes {
  const { patient, counts, atMs, rng } = options;
  if (patient.expunged) return { added: [], edited: [], removed: [] };
  const record = recordOf(patient);
  // Candidates are listed before anything is added, so that one change set never edits or removes its own additions.
  const candidates = [...record.entries()].filter(([, it]) => CHANGEABLE.has(it.spec.type)).map(([key]) => key);
  const removed = take(candidates, counts.remove, rng);
  for (const key of removed) record.delete(key);
  const edited = take(candidates, counts.edit, rng);
  for (const key of edited) editResource(patient, key, atMs);
  const added = Array.from({ length: counts.add }, () => addResource(patient, newType(patient, rng), atMs));
  if (removed.length + edited.length + added.length > 0) patient.lastChangeMs = Math.max(patient.lastChangeMs, atMs);
  return { added, edited, removed };
}

function countsOfDay(patient: Patient, day: number, rng: Rng): Counts {
  const total = recordOf(patient).size;
  const quiet = total < QUIET_BELOW && rng.next() < 0.4;
  const add = rng.int(1, 3);
  const edit = rng.int(1, Math.max(2, Math.floor(total / 250)));
  // Every fourth patient loses a resource on the second day for certain, so that a short run always shows a removal.
  const remove = (patient.index % 4 === 1 && day === 2) || rng.next() < 0.08 ? 1 : 0;
  return { add: quiet ? 0 : add, edit: quiet ? 0 : edit, remove };
}

function newType(patient: Patient, rng: Rng): ResourceType {
  const main = mainType(patient.endpoint);
  if (rng.next() < 0.6) return main;
  const others = [...CHANGEABLE].filter((type) => patient.endpoint.resources.includes(type));
  return others.length === 0 ? main : rng.pick(others);
}

function take(candidates: string[], count: number, rng: Rng): readonly string[] {
  const taken: string[] = [];
  while (taken.length < count && candidates.length > 0) {
    const index = rng.int(0, candidates.length - 1);
    const key = candidates[index];
    const last = candidates.pop();
    if (key === undefined || last === undefined) break;
    if (key !== last) candidates[index] = last;
    taken.push(key);
  }
  return taken;
}
