import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DAY_MS, get, grant, readAll, START_MS, send, start, statsOf } from './support.ts';

async function versions(url: string, patientId: string): Promise<Map<string, string>> {
  const text = await (await fetch(`${url}/sandbox/patients/${patientId}/resources`)).text();
  const rows = text.split('\n').filter((line) => line !== '');
  return new Map(
    rows.map((line) => {
      const resource: { resourceType: string; id: string } = JSON.parse(line);
      return [`${resource.resourceType}/${resource.id}`, line];
    }),
  );
}

function difference(
  before: Map<string, string>,
  after: Map<string, string>,
): { added: string[]; edited: string[]; removed: string[] } {
  return {
    added: [...after.keys()].filter((key) => !before.has(key)),
    edited: [...after.keys()].filter((key) => before.has(key) && before.get(key) !== after.get(key)),
    removed: [...before.keys()].filter((key) => !after.has(key)),
  };
}

describe('evolution', () => {
  it('over three days every medium patient sees additions and edits, and some patient a removal', async () => {
    const { url, advance } = await start();
    const endpointIds = ['meadowlark-health-plan', 'riverbend-clinic', 'commons-exchange', 'northwind-medicare'];
    const grants = await Promise.all(endpointIds.map((endpointId) => grant(url, { endpointId, size: 'medium' })));
    const before = await Promise.all(grants.map((it) => versions(url, it.patientId)));
    advance(3 * DAY_MS);
    const changes = await Promise.all(
      grants.map(async (it, index) => difference(before[index] ?? new Map(), await versions(url, it.patientId))),
    );
    for (const change of changes) {
      expect(change.added.length).toBeGreaterThan(0);
      expect(change.edited.length).toBeGreaterThan(0);
    }
    expect(changes.some((change) => change.removed.length > 0)).toBe(true);
  });

  it('brings something new on each of the first days, found by _lastUpdated alone', async () => {
    const { url, advance, now } = await start({ knobs: { accessTokenMs: 10 * DAY_MS } });
    const { access, patientId } = await grant(url, { size: 'medium' });
    for (let day = 1; day <= 3; day++) {
      const since = new Date(now()).toISOString();
      const before = await versions(url, patientId);
      advance(DAY_MS);
      const { added, edited } = difference(before, await versions(url, patientId));
      const types = new Set([...added, ...edited].map((key) => key.split('/')[0]));
      const found = await Promise.all(
        [...types].map((type) => readAll(`${url}/fhir/${type}?_lastUpdated=gt${since}`, access)),
      );
      expect(found.flat().toSorted()).toEqual([...added, ...edited].toSorted());
      expect(found.flat()).not.toHaveLength(0);
    }
  });

  it('reads repeated _lastUpdated as a range with ge, gt, le and lt', async () => {
    const { url } = await start();
    const { access } = await grant(url, { size: 24 });
    const at = new Date(START_MS).toISOString();
    const count = async (query: string): Promise<number> =>
      (await readAll(`${url}/fhir/Observation?${query}`, access)).length;
    const all = await count('');
    expect(all).toBeGreaterThan(0);
    expect(await count(`_lastUpdated=ge${at}&_lastUpdated=le${at}`)).toBe(all);
    expect(await count(`_lastUpdated=gt${at}`)).toBe(0);
    expect(await count(`_lastUpdated=lt${at}`)).toBe(0);
    expect(await count('_lastUpdated=2026-10-01')).toBe(all);
    expect(await count('_lastUpdated=gt2026-10-01')).toBe(0);
    expect(await count('_lastUpdated=ge2026-09-01&_lastUpdated=lt2026-10-01')).toBe(0);
    expect(await count(`_lastUpdated=le${encodeURIComponent('2026-10-01T10:30:00+02:00')}`)).toBe(all);
  });

  it('is the same whether a patient is looked at daily or after a month', async () => {
    const daily = await start();
    const late = await start();
    const [seen, unseen] = await Promise.all([
      grant(daily.url, { size: 'medium' }),
      grant(late.url, { size: 'medium' }),
    ]);
    for (let day = 0; day < 30; day++) {
      daily.advance(DAY_MS);
      await statsOf(daily.url, seen.authorizationId);
    }
    late.advance(30 * DAY_MS);
    const [a, b] = [await statsOf(daily.url, seen.authorizationId), await statsOf(late.url, unseen.authorizationId)];
    expect(a['resourcesSha256']).toBe(b['resourcesSha256']);
  });

  it('waits for the sync of the week when the application syncs weekly', async () => {
    const { url, advance } = await start({ knobs: { syncFrequency: 'weekly' } });
    const { patientId } = await grant(url, { size: 'medium' });
    const before = await versions(url, patientId);
    advance(5 * DAY_MS);
    expect(difference(before, await versions(url, patientId))).toEqual({ added: [], edited: [], removed: [] });
    advance(3 * DAY_MS);
    const after = await versions(url, patientId);
    const { added, edited } = difference(before, after);
    expect(added.length).toBeGreaterThan(0);
    // A client that pulled on day five must find all of the week's changes by _lastUpdated.
    const dayFive = new Date(START_MS + 5 * DAY_MS).toISOString();
    for (const key of [...added, ...edited]) {
      const { meta }: { meta: { lastUpdated: string } } = JSON.parse(after.get(key) ?? '');
      expect(meta.lastUpdated > dayFive).toBe(true);
    }
  });

  it('catches up at most 400 days a call and then goes on', async () => {
    const { url, advance } = await start();
    const { authorizationId } = await grant(url, { size: 'small' });
    advance(1000 * DAY_MS);
    const hashes: unknown[] = [];
    for (let round = 0; round < 4; round++) hashes.push((await statsOf(url, authorizationId))['resourcesSha256']);
    expect(new Set(hashes).size).toBe(3);
    expect(hashes[3]).toBe(hashes[2]);
  });
});

describe('changes on demand', () => {
  it('adds, edits and removes what was asked, at once, and names it', async () => {
    const { url, advance } = await start();
    const { patientId, access } = await grant(url, { size: 'medium' });
    advance(1000);
    const before = await versions(url, patientId);
    const reply = await send(`${url}/sandbox/patients/${patientId}/changes`, 'POST', { add: 3, edit: 2, remove: 1 });
    expect(reply.status).toBe(200);
    const answered: { added: string[]; edited: string[]; removed: string[] } = JSON.parse(await reply.text());
    expect([answered.added.length, answered.edited.length, answered.removed.length]).toEqual([3, 2, 1]);
    const seen = difference(before, await versions(url, patientId));
    expect(seen.added.toSorted()).toEqual(answered.added.toSorted());
    expect(seen.edited.toSorted()).toEqual(answered.edited.toSorted());
    expect(seen.removed).toEqual(answered.removed);
    expect((await get(`${url}/fhir/${answered.removed[0]}`, access)).status).toBe(404);
    expect((await get(`${url}/fhir/${answered.added[0]}`, access)).status).toBe(200);
  });

  it('an edit moves versionId, lastUpdated and clinical content, and keeps the id', async () => {
    const { url, advance } = await start();
    const { patientId } = await grant(url, { size: 'large' });
    advance(1000);
    const before = await versions(url, patientId);
    await send(`${url}/sandbox/patients/${patientId}/changes`, 'POST', { edit: 300 });
    const after = await versions(url, patientId);
    const { edited } = difference(before, after);
    expect(edited).toHaveLength(300);
    for (const key of edited) {
      const [was, is]: Record<string, unknown>[] = [
        JSON.parse(before.get(key) ?? ''),
        JSON.parse(after.get(key) ?? ''),
      ];
      expect(is?.['meta']).not.toMatchObject(was?.['meta'] ?? {});
      expect({ ...is, meta: null }).not.toEqual({ ...was, meta: null });
    }
  });

  it('the hash in the stats is that of the NDJSON it serves', async () => {
    const { url } = await start();
    const { patientId, authorizationId } = await grant(url, { size: 'medium' });
    const bytes = await (await fetch(`${url}/sandbox/patients/${patientId}/resources`)).bytes();
    expect((await statsOf(url, authorizationId))['resourcesSha256']).toBe(hash('sha256', bytes, 'hex'));
  });
});
