import { LIMITS } from '../core/limits.ts';
import { namesOtherPatient, patientReferencesOf } from '../core/patient-references.ts';

export type Entry = { readonly type: string; readonly id: string; readonly bytes: Uint8Array };

/**
 * Tells whose a resource is. One consent may open several Patients that are linked to each other (contract, section 3.3), and the links may come after what
 * they explain: what names a Patient that is not known yet waits for the end of the pull.
 */
export type Ownership = {
  /** `waits` keeps a copy for {@link Ownership.settle}; `foreign` when no more can wait. */
  readonly judge: (entry: Entry) => 'own' | 'waits' | 'foreign';
  /** What waited and turned out to be the patient's own, and how many were another's. */
  readonly settle: () => { readonly own: readonly Entry[]; readonly foreign: number };
  /** The patient and all Patients linked to it, as far as they are known; kept for the next pull, which may not see the links again. */
  readonly known: () => readonly string[];
  /** Whether something waits that is kept nowhere but in this process's memory. */
  readonly isWaiting: () => boolean;
};

/** Begins with the patient of the token and the Patients that earlier pulls found linked to it; without a patient nothing can be told apart. */
export function createOwnership({
  patient,
  linked,
}: {
  readonly patient: string | null;
  readonly linked: readonly string[];
}): Ownership {
  const known = new Set(patient === null ? [] : [patient, ...linked]);
  const links = new Map<string, Set<string>>();
  const waiting: { readonly entry: Entry; readonly owner: string }[] = [];
  let waitingBytes = 0;
  const wait = (entry: Entry, owner: string) => {
    waitingBytes += entry.bytes.length;
    if (waitingBytes > LIMITS.doubtfulMaxBytes) return 'foreign';
    waiting.push({ entry: { ...entry, bytes: entry.bytes.slice() }, owner });
    return 'waits';
  };
  return {
    judge: (entry) => {
      if (patient === null) return 'own';
      if (entry.type === 'Patient') {
        for (const other of patientReferencesOf(entry.bytes).links) connect(links, entry.id, other);
        spread(known, links);
        return known.has(entry.id) ? 'own' : wait(entry, entry.id);
      }
      if (!namesOtherPatient({ bytes: entry.bytes, known })) return 'own';
      const { owner } = patientReferencesOf(entry.bytes);
      return owner === null || known.has(owner) ? 'own' : wait(entry, owner);
    },
    settle: () => {
      const own = waiting.filter(({ owner }) => known.has(owner)).map(({ entry }) => entry);
      return { own, foreign: waiting.length - own.length };
    },
    known: () => [...known],
    isWaiting: () => waiting.length > 0,
  };
}

function connect(links: Map<string, Set<string>>, left: string, right: string): void {
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    const known = links.get(from) ?? new Set();
    links.set(from, known.add(to));
  }
}

/** Everything that can be reached from what is known. */
function spread(known: Set<string>, links: ReadonlyMap<string, ReadonlySet<string>>): void {
  const open = [...known];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    for (const other of links.get(id) ?? []) {
      if (known.has(other)) continue;
      known.add(other);
      open.push(other);
    }
  }
}
