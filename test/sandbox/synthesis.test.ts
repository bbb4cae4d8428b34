import { expect, it } from 'vitest';
import { seedDirectory } from '../../src/sandbox/directory.ts';
import { createPatient, recordOf } from '../../src/sandbox/patients.ts';
import { endpoints, get, grant, START_MS, start } from './support.ts';

function patientOf(options: {
  size: number;
  index?: number;
  seed?: number;
  endpoint?: number;
}): Map<string, { body: Buffer }> {
  const seed = options.seed ?? 7;
  const endpoint = seedDirectory(seed)[options.endpoint ?? 0];
  if (endpoint === undefined) throw new Error('no such endpoint');
  const index = options.index ?? 0;
  return recordOf(
    createPatient({ seed, index, endpoint, size: options.size, createdAtMs: START_MS, authorizationId: 'a' }),
  );
}

it('two servers of one seed serve identical bytes, and another seed serves others', async () => {
  const bodies = await Promise.all(
    [7, 7, 8].map(async (seed) => {
      const { url } = await start({ seed });
      await grant(url);
      const { patientId } = await grant(url, { size: 'medium', endpointId: 'riverbend-clinic' });
      return (await fetch(`${url}/sandbox/patients/${patientId}/resources`)).text();
    }),
  );
  expect(bodies[0]).toBe(bodies[1]);
  expect(bodies[0]).not.toBe(bodies[2]);
});

it('serves decimals, escapes and accents byte for byte', async () => {
  const { url } = await start();
  const { access } = await grant(url, { size: 'medium' });
  const text = await (await get(`${url}/fhir/Patient/$PATIENT_ID/$everything`, access)).text();
  expect(text).toContain('"quantity":{"value":1.00}');
  expect(text).toMatch(/"amount":\{"value":\d+\.\d0,"currency":"USD"\}/);
  expect(text).toContain('1.25E+2');
  expect(text).toMatch(/\\u00e9/);
  expect(text).toContain('\\/');
  expect(text).toContain('Sélect Plus');
  expect(text).not.toMatch(/[\uE000\uE001]/);
});

it('serves the same bytes in a read, a search and the control plane', async () => {
  const { url } = await start();
  const { access, patientId } = await grant(url);
  const ndjson = await (await fetch(`${url}/sandbox/patients/${patientId}/resources`)).text();
  const everything = await (await get(`${url}/fhir/Patient/$PATIENT_ID/$everything`, access)).text();
  for (const line of ndjson.split('\n').filter((it) => it !== '')) {
    const { resourceType, id }: { resourceType: string; id: string } = JSON.parse(line);
    expect(everything).toContain(`"resource":${line}}`);
    expect(await (await get(`${url}/fhir/${resourceType}/${id}`, access)).text()).toBe(line);
  }
});

it.each([1, 2, 5, 14, 24, 150, 1500])(
  'writes exactly %i resources when asked to, each valid JSON with its own id',
  (size) => {
    for (const endpoint of [0, 4, 7]) {
      const record = patientOf({ size, endpoint });
      expect(record.size).toBe(size);
      for (const [key, { body }] of record) {
        const resource: { resourceType: string; id: string } = JSON.parse(body.toString('utf8'));
        expect(`${resource.resourceType}/${resource.id}`).toBe(key);
      }
    }
  },
);

it('carries the metadata of contract 3.6: version 5 ids, source, tags in both names', () => {
  const record = patientOf({ size: 150 });
  const texts = [...record.values()].map(({ body }) => body.toString('utf8'));
  for (const text of texts) {
    const { id, meta }: { id: string; meta: Record<string, unknown> } = JSON.parse(text);
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(meta).toMatchObject({
      versionId: expect.any(String),
      lastUpdated: '2026-10-01T08:30:00.000Z',
      source: expect.stringMatching(/^https:/),
    });
  }
  expect(texts.some((text) => text.includes('PatientAccessTokenMode'))).toBe(true);
  expect(texts.some((text) => text.includes('PatientAuthorizationMode'))).toBe(true);
});

it('references only resources that the same record holds', () => {
  for (const endpoint of [0, 4, 7]) {
    const record = patientOf({ size: 150, endpoint });
    for (const { body } of record.values()) {
      for (const [, target = ''] of body.toString('utf8').matchAll(/"reference":"([A-Z]\w+\/[^"]+)"/g)) {
        expect(record.has(target), target).toBe(true);
      }
    }
  }
});

it('writes 2,000 resources in well under a second', () => {
  const before = performance.now();
  expect(patientOf({ size: 2000, index: 3 }).size).toBe(2000);
  expect(performance.now() - before).toBeLessThan(1000);
});

it('lists at least eight endpoints over three networks, each with a refreshable and a non-refreshable one', async () => {
  const { url } = await start();
  const rows = await endpoints(url);
  expect(rows.length).toBeGreaterThanOrEqual(8);
  for (const network of ['TEFCA_IAS', 'CMS_9115', 'ONC_G10']) {
    const kinds = new Set(rows.filter((row) => row.network === network).map((row) => row.refreshable));
    expect(kinds.size).toBe(2);
  }
});
