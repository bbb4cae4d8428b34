/** The bytes of `Patient/`, as every reference to one is spelled (FHIR R4, references.html). */
const PATIENT = Uint8Array.from('Patient/', (character) => character.charCodeAt(0));
const LETTER_P = 0x50;
/** FHIR ids have at most 64 characters. */
const ID_MAX = 64;

/** What a resource says of whose it is: the members that name its patient, by resource type mostly one of them. */
const OWNER_MEMBERS = ['subject', 'patient', 'beneficiary'] as const;

/** Whether any reference in the resource names a Patient that is not among `known`: a look at its bytes, without parsing it. */
export function namesOtherPatient({
  bytes,
  known,
}: {
  readonly bytes: Uint8Array;
  readonly known: ReadonlySet<string>;
}): boolean {
  for (let at = bytes.indexOf(LETTER_P); at >= 0; at = bytes.indexOf(LETTER_P, at + 1)) {
    if (!PATIENT.every((byte, offset) => bytes[at + offset] === byte)) continue;
    const id = idAt(bytes, at + PATIENT.length);
    if (id !== '' && !known.has(id)) return true;
  }
  return false;
}

function idAt(bytes: Uint8Array, start: number): string {
  let id = '';
  for (let at = start; at < bytes.length && id.length < ID_MAX; at += 1) {
    const byte = bytes[at] ?? 0;
    if (!isIdByte(byte)) break;
    id += String.fromCharCode(byte);
  }
  return id;
}

/** Letters, digits, dash and dot (FHIR R4, datatypes.html, id). */
function isIdByte(byte: number): boolean {
  const lower = byte | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x2e;
}

/** What a parsed resource tells of Patients: whose it is, where it says so, and which Patients a Patient is linked to. */
export type PatientReferences = { readonly owner: string | null; readonly links: readonly string[] };

/** Reads a resource's own words about its patient. Anything of another shape says nothing. */
export function patientReferencesOf(resource: Uint8Array): PatientReferences {
  const parsed = parse(resource);
  const owners = OWNER_MEMBERS.map((name) => idOf(memberOf(memberOf(parsed, name), 'reference')));
  const links = memberOf(parsed, 'link');
  return {
    owner: owners.find((owner) => owner !== null) ?? null,
    links: Array.isArray(links)
      ? links.map((link) => idOf(memberOf(memberOf(link, 'other'), 'reference'))).filter((id) => id !== null)
      : [],
  };
}

function parse(resource: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(resource));
  } catch {
    return null;
  }
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return new Map<string, unknown>(Object.entries(value)).get(name);
}

function idOf(reference: unknown): string | null {
  if (typeof reference !== 'string') return null;
  return /(?:^|\/)Patient\/([A-Za-z0-9.-]{1,64})(?:\/_history\/.*)?$/.exec(reference)?.[1] ?? null;
}
