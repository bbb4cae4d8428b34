import { describe, expect, it } from 'vitest';
import { bundle, get, grant, outcome, readAll, send, start, statsOf } from './support.ts';

const TYPES = [
  'Patient',
  'Coverage',
  'Organization',
  'Practitioner',
  'Encounter',
  'ExplanationOfBenefit',
  'Condition',
  'Observation',
  'MedicationRequest',
  'Immunization',
  'Procedure',
  'AllergyIntolerance',
  'DiagnosticReport',
  'DocumentReference',
];

describe('search and paging', () => {
  it('pages to the end and gives every resource exactly once, 20 a page by default', async () => {
    const { url } = await start();
    const { access, authorizationId } = await grant(url, { size: 'medium' });
    const first = bundle.parse(
      await (await get(`${url}/fhir/ExplanationOfBenefit?patient=$PATIENT_ID`, access)).json(),
    );
    expect(first.entry).toHaveLength(20);
    const keys = await readAll(`${url}/fhir/ExplanationOfBenefit?patient=$PATIENT_ID`, access);
    expect(new Set(keys).size).toBe(keys.length);
    expect((await statsOf(url, authorizationId)).resources['ExplanationOfBenefit']).toBe(keys.length);
  });

  it.each([1, 2, 3, 4, 5, 1000])('loses and doubles nothing with %i resources a page', async (count) => {
    const { url } = await start();
    const { access, authorizationId } = await grant(url, { size: 40 });
    const { resources } = await statsOf(url, authorizationId);
    for (const type of ['Organization', 'Practitioner', 'Encounter']) {
      const keys = await readAll(`${url}/fhir/${type}?_count=${count}`, access);
      expect(new Set(keys).size).toBe(keys.length);
      expect(keys).toHaveLength(resources[type] ?? 0);
    }
  });

  it('gives $everything as one bundle that equals the union of the searches', async () => {
    const { url } = await start();
    for (const endpointId of ['meadowlark-health-plan', 'riverbend-clinic', 'commons-exchange']) {
      const { access } = await grant(url, { size: 'medium', endpointId });
      const searched = await Promise.all(TYPES.map((type) => readAll(`${url}/fhir/${type}?_count=1000`, access)));
      const everything = bundle.parse(await (await get(`${url}/fhir/Patient/$PATIENT_ID/$everything`, access)).json());
      const keys = everything.entry.map(({ resource }) => `${resource.resourceType}/${resource.id}`);
      expect(keys.toSorted()).toEqual(searched.flat().toSorted());
      expect(keys).toHaveLength(150);
    }
  });

  it('pages $everything when asked to', async () => {
    const { url } = await start({ knobs: { everythingPageSize: 7 } });
    const { access, patientId } = await grant(url, { size: 24 });
    const keys = await readAll(`${url}/fhir/Patient/${patientId}/$everything`, access);
    expect(new Set(keys).size).toBe(24);
    expect(keys).toHaveLength(24);
  });

  it('swaps the patient for a _tag filter in its links, writes link after entry, and leaves total out', async () => {
    const { url } = await start();
    const { access, authorizationId, patientId } = await grant(url, { size: 'medium' });
    const text = await (
      await get(`${url}/fhir/ExplanationOfBenefit?patient=${patientId}&_count=5&_lastUpdated=ge2020-01-01`, access)
    ).text();
    const page = bundle.parse(JSON.parse(text));
    const tag = `_tag=https%3A%2F%2Ffhir.flexpa.com%2Fidentifiers%2FPatientAccessTokenId%7C${authorizationId}`;
    const base = `${url}/fhir/ExplanationOfBenefit?_count=5`;
    expect(page.link).toEqual([
      { relation: 'self', url: `${base}&_lastUpdated=ge2020-01-01&${tag}` },
      { relation: 'first', url: `${base}&_offset=0&_lastUpdated=ge2020-01-01&${tag}` },
      { relation: 'next', url: `${base}&_offset=5&_lastUpdated=ge2020-01-01&${tag}` },
    ]);
    expect(page.total).toBeUndefined();
    expect(text.indexOf('"link":[{"relation"')).toBeGreaterThan(text.lastIndexOf('"fullUrl"'));
  });

  it('tells the total when asked to, and caps _count at 1000', async () => {
    const { url } = await start({ knobs: { bundleTotal: true } });
    const { access } = await grant(url, { size: 2500 });
    const page = bundle.parse(await (await get(`${url}/fhir/ExplanationOfBenefit?_count=5000`, access)).json());
    expect(page.entry).toHaveLength(1000);
    expect(page.total).toBeGreaterThan(1000);
  });

  it('gives an empty bundle without entry for a known type that the patient has none of', async () => {
    const { url } = await start();
    const { access } = await grant(url);
    const body: unknown = await (await get(`${url}/fhir/Goal?`, access)).json();
    expect(body).not.toHaveProperty('entry');
    expect(bundle.parse(body).link).toHaveLength(2);
  });

  it.each(['patient=%24PATIENT_ID', 'patient=Patient/$PATIENT_ID', 'patient=$PATIENT_ID', ''])(
    'scopes %j to the token’s patient',
    async (query) => {
      const { url } = await start();
      await grant(url);
      const { access, patientId } = await grant(url);
      expect(await readAll(`${url}/fhir/Patient?${query}`, access)).toEqual([`Patient/${patientId}`]);
    },
  );

  it('replaces the wildcard in paths, encoded or not', async () => {
    const { url } = await start();
    const { access, patientId } = await grant(url);
    for (const id of ['$PATIENT_ID', '%24PATIENT_ID', patientId]) {
      expect(await (await get(`${url}/fhir/Patient/${id}`, access)).json()).toMatchObject({ id: patientId });
    }
  });

  it('puts a self-consistent next link on another origin only when asked to', async () => {
    const { url } = await start({ knobs: { nextLinkOrigin: 'https://elsewhere.example' } });
    const { access } = await grant(url, { size: 'medium' });
    const page = bundle.parse(await (await get(`${url}/fhir/ExplanationOfBenefit`, access)).json());
    expect(page.link.find((it) => it.relation === 'next')?.url).toMatch(/^https:\/\/elsewhere\.example\/fhir\/Expl/);
  });
});

describe('FHIR errors', () => {
  it.each([
    ['Goat', 404, 'not-supported'],
    ['Patient/$summary-of-goats/x/y', 404, 'not-supported'],
    ['ExplanationOfBenefit/00000000-0000-5000-8000-000000000000', 404, 'not-found'],
    ['Patient?patient=somebody-else', 403, 'forbidden'],
    ['Patient/somebody-else/$everything', 403, 'forbidden'],
    ['Observation?goats=1', 422, 'processing'],
    ['Observation?_count=0', 422, 'processing'],
    ['Observation?_offset=-1', 422, 'processing'],
    ['Observation?_lastUpdated=yesterday', 422, 'processing'],
  ])('answers %s with %i %s', async (path, status, code) => {
    const { url } = await start();
    const { access } = await grant(url);
    const reply = await get(`${url}/fhir/${path}`, access);
    expect(reply.status).toBe(status);
    expect(outcome.parse(await reply.json()).issue[0]).toMatchObject({ severity: 'error', code });
  });

  it.each([
    [403, 'forbidden'],
    [404, 'not-supported'],
  ] as const)('refuses the named types with %i and leaves them out of $everything', async (refusedStatus, code) => {
    const { url } = await start({ knobs: { refusedTypes: ['Observation'], refusedStatus } });
    const { access } = await grant(url);
    const reply = await get(`${url}/fhir/Observation`, access);
    expect(reply.status).toBe(refusedStatus);
    expect(outcome.parse(await reply.json()).issue[0].code).toBe(code);
    const keys = await readAll(`${url}/fhir/Patient/$PATIENT_ID/$everything`, access);
    expect(keys.some((key) => key.startsWith('Observation/'))).toBe(false);
    expect(keys.length).toBeGreaterThan(0);
  });
});

describe('metadata and expunge', () => {
  it('shows its capabilities without a token, with _lastUpdated among the search parameters', async () => {
    const { url } = await start();
    const body: { rest: { resource: { type: string; searchParam: { name: string }[] }[] }[] } = JSON.parse(
      await (await fetch(`${url}/fhir/metadata`)).text(),
    );
    const observation = body.rest[0]?.resource.find((it) => it.type === 'Observation');
    expect(observation?.searchParam.map((it) => it.name)).toEqual([
      'patient',
      '_id',
      '_lastUpdated',
      '_tag',
      '_count',
      '_offset',
    ]);
  });

  it('expunges the whole compartment and keeps the ability to refresh', async () => {
    const { url } = await start();
    const it = await grant(url);
    const reply = await send(`${url}/fhir/Patient/$PATIENT_ID/$expunge`, 'POST', undefined, {
      authorization: `Bearer ${it.access}`,
    });
    expect(reply.status).toBe(200);
    expect(await readAll(`${url}/fhir/Patient/$PATIENT_ID/$everything`, it.access)).toEqual([]);
    const stats = await statsOf(url, it.authorizationId);
    expect(stats).toMatchObject({ expunges: 1, alive: true, resources: {} });
  });
});
