import { startFhirServer } from '../../support/pull/fhir-server.ts';

/** Entries that are made at once. */
const BATCH = 200;
const MEGABYTE = 1_000_000;

/** Some 1.4 kB, as the resources of a record are on average; every one has an id of its own. */
function entryOf(number: number, patient: string): string {
  const id = ((number * 2_654_435_761) % 4_294_967_296).toString(16).padStart(8, '0');
  const coding = (system: string, code: string) => ({
    system,
    code,
    display: `What ${code} stands for, in some words`,
  });
  const resource = {
    resourceType: ['Observation', 'Condition', 'Encounter', 'Procedure'][number % 4],
    id: `${id}-0000-4000-8000-${String(number).padStart(12, '0')}`,
    meta: { versionId: '1', lastUpdated: new Date(1_600_000_000_000 + number).toISOString() },
    status: 'final',
    category: [{ coding: [coding('http://terminology.hl7.org/CodeSystem/observation-category', 'laboratory')] }],
    code: { coding: [coding('http://loinc.org', `${number % 997}-${number % 7}`)], text: `Measured ${number % 997}` },
    subject: { reference: `Patient/${patient}` },
    performer: [{ reference: `Practitioner/${id}`, display: 'Somebody of some name' }],
    effectiveDateTime: new Date(1_600_000_000_000 + number * 86_461_000).toISOString(),
    valueQuantity: { value: (number * 7_919) % 10_007, unit: 'mg/dL', system: 'http://unitsofmeasure.org' },
    note: [{ text: `${id} was seen again, and nothing was found that was not known. `.repeat(8) }],
  };
  return JSON.stringify({ fullUrl: `urn:uuid:${id}`, resource });
}

/** A bundle of so many megabytes from entry `from` on, made as it is read. */
function* bundle({
  patient,
  mb,
  from,
  next,
}: {
  readonly patient: string;
  readonly mb: number;
  readonly from: number;
  readonly next: string | null;
}): Generator<Buffer> {
  const link = next === null ? '' : `"link":[{"relation":"next","url":"${next}"}],`;
  yield Buffer.from(`{"resourceType":"Bundle","type":"searchset",${link}"entry":[`);
  let sent = 0;
  for (let number = from; sent < mb * MEGABYTE; number += BATCH) {
    const entries = Array.from({ length: BATCH }, (_, at) => entryOf(number + at, patient)).join(',');
    const piece = Buffer.from(number === from ? entries : `,${entries}`);
    sent += piece.length;
    yield piece;
  }
  yield Buffer.from(']}');
}

/** A patient's id says how large its record is and in how many pages it comes: `60mb-1p`. */
const server = await startFhirServer({
  answer: (path) => {
    const [, patient = '', mb = '0', pages = '1'] = /^Patient\/((\d+)mb-(\d+)p)\//.exec(path) ?? [];
    const page = Number(/[?&]page=(\d+)/.exec(path)?.[1] ?? 0);
    const next = page + 1 < Number(pages) ? `Patient/${patient}/$everything?page=${page + 1}` : null;
    return { body: bundle({ patient, mb: Number(mb) / Number(pages), from: page * MEGABYTE, next }) };
  },
});
process.send?.({ url: server.url });
process.on('disconnect', () => process.exit());
