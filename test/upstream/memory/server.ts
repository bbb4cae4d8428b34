import { createServer } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';

/** Some 4 MiB of what FHIR looks like: names that repeat, ids and values that do not. */
function fhir(): Buffer {
  const entries = Array.from({ length: 9_000 }, (_, at) => {
    const id = ((at * 2_654_435_761) % 4_294_967_296).toString(16).padStart(8, '0');
    const resource = {
      resourceType: 'Observation',
      id: `${id}-${at}`,
      status: 'final',
      category: [
        { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'laboratory' }] },
      ],
      code: {
        coding: [{ system: 'http://loinc.org', code: `${at % 997}-${at % 7}`, display: `Measured ${at % 997}` }],
      },
      subject: { reference: 'Patient/1' },
      effectiveDateTime: new Date(1_600_000_000_000 + at * 86_461_000).toISOString(),
      valueQuantity: { value: (at * 7_919) % 10_007, unit: 'mg/dL', system: 'http://unitsofmeasure.org' },
    };
    return { fullUrl: `urn:uuid:${id}`, resource };
  });
  return Buffer.from(JSON.stringify(entries));
}

const plain = fhir();
const packed = gzipSync(plain);
const zeros = gzipSync(Buffer.alloc(plain.length));

function* repeated(piece: Buffer, times: number): Generator<Buffer> {
  for (let time = 0; time < times; time += 1) yield piece;
}

/** `/plain?mb=N`, `/gzip?mb=N` (members of one gzip body) and `/bomb?mb=N` (the same of nothing but zeros), made as they go. */
const server = createServer((request, response) => {
  const url = new URL(request.url ?? '', 'http://a.test');
  const times = Math.ceil((Number(url.searchParams.get('mb')) * 1_000_000) / plain.length);
  const piece = url.pathname === '/plain' ? plain : url.pathname === '/gzip' ? packed : zeros;
  if (piece !== plain) response.setHeader('content-encoding', 'gzip');
  // The reader may hang up, which is what some tests are about.
  pipeline(Readable.from(repeated(piece, times)), response, () => {});
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.({
    port: typeof address === 'object' && address !== null ? address.port : 0,
    ratio: plain.length / packed.length,
  });
});
process.on('disconnect', () => process.exit());
