import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { seedDirectory } from '../../src/sandbox/directory.ts';
import { createPatient, recordOf } from '../../src/sandbox/patients.ts';

/** One patient as a server sends it with `$everything`: the pages in their order, each under its path. */
export type PatientPages = { readonly id: string; readonly pages: ReadonlyMap<string, Buffer> };

/** What a run pulls, the same bytes in every round. */
export type Corpus = {
  readonly name: string;
  readonly patients: readonly PatientPages[];
  readonly pages: readonly Buffer[];
  readonly bytes: number;
  readonly resources: number;
  readonly types: readonly string[];
};

type Resource = { readonly type: string; readonly id: string; readonly body: string };

/** Servers give 10 to 1,000 a page; Flexpa up to 1,000. */
const RESOURCES_PER_PAGE = 500;
const SEED = 1;
/** Its patients have both claims and clinical records. */
const ENDPOINT = 'commons-exchange';

const fileSchema = z.object({
  entry: z.array(
    z.object({ fullUrl: z.string(), resource: z.looseObject({ resourceType: z.string(), id: z.string() }) }),
  ),
});

/** One patient of the sandbox's generator, with a long history; the same in every run. */
export function sandboxCorpus({ url, resources }: { readonly url: string; readonly resources: number }): Corpus {
  const endpoint = seedDirectory(SEED).find(({ name }) => name === ENDPOINT);
  if (endpoint === undefined) throw new Error(`the sandbox has no endpoint ${ENDPOINT}`);
  const createdAtMs = Date.UTC(2026, 0, 1);
  const patient = createPatient({
    seed: SEED,
    index: 0,
    endpoint,
    size: resources,
    createdAtMs,
    authorizationId: 'bench',
  });
  const record = [...recordOf(patient).values()];
  const list = record.map(({ spec, id, body }) => ({ type: spec.type, id, body: body.toString() }));
  return corpusOf({ name: 'one sandbox patient', url, patients: [list] });
}

/** The patients of a folder of bundles, one file each, as a server would send them after it took them in. */
export function folderCorpus({ url, folder }: { readonly url: string; readonly folder: string }): Corpus {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  const patients = files.map((name) => resourcesOf(readFileSync(join(folder, name), 'utf8')));
  return corpusOf({ name: `${files.length} patients of a folder`, url, patients });
}

/** A transaction names its own resources by urn; who has stored them names them by type and id. */
function resourcesOf(text: string): readonly Resource[] {
  const { entry } = fileSchema.parse(JSON.parse(text));
  const names = new Map(entry.map(({ fullUrl, resource }) => [fullUrl, `${resource.resourceType}/${resource.id}`]));
  return entry.map(({ resource }) => {
    const body = JSON.stringify(resource).replaceAll(/urn:uuid:[0-9a-f-]{36}/g, (urn) => names.get(urn) ?? urn);
    return { type: resource.resourceType, id: resource.id, body };
  });
}

function corpusOf({
  name,
  url,
  patients: lists,
}: {
  readonly name: string;
  readonly url: string;
  readonly patients: readonly (readonly Resource[])[];
}): Corpus {
  const patients = lists.map((resources) => patientPages({ url, resources }));
  const pages = patients.flatMap((patient) => [...patient.pages.values()]);
  const bytes = pages.reduce((sum, page) => sum + page.length, 0);
  const all = lists.flat();
  return { name, patients, pages, bytes, resources: all.length, types: [...new Set(all.map(({ type }) => type))] };
}

function patientPages({
  url,
  resources,
}: {
  readonly url: string;
  readonly resources: readonly Resource[];
}): PatientPages {
  const id = resources.find(({ type }) => type === 'Patient')?.id;
  if (id === undefined) throw new Error('no Patient among the resources');
  const pathOf = (page: number) => `/fhir/Patient/${id}/$everything${page === 0 ? '' : `?_page=${page}`}`;
  const pages = new Map<string, Buffer>();
  for (let page = 0; page * RESOURCES_PER_PAGE < resources.length; page += 1) {
    const own = resources.slice(page * RESOURCES_PER_PAGE, (page + 1) * RESOURCES_PER_PAGE);
    const isLast = (page + 1) * RESOURCES_PER_PAGE >= resources.length;
    const link = isLast ? [] : [{ relation: 'next', url: `${url}${pathOf(page + 1)}` }];
    pages.set(pathOf(page), searchset({ url, resources: own, link, total: resources.length }));
  }
  return { id, pages };
}

function searchset({
  url,
  resources,
  link,
  total,
}: {
  readonly url: string;
  readonly resources: readonly Resource[];
  readonly link: readonly { readonly relation: string; readonly url: string }[];
  readonly total: number;
}): Buffer {
  const entries = resources.map(({ type, id, body }) => {
    return `{"fullUrl":"${url}/fhir/${type}/${id}","resource":${body},"search":{"mode":"match"}}`;
  });
  const head = `{"resourceType":"Bundle","type":"searchset","total":${total},"link":${JSON.stringify(link)}`;
  return Buffer.from(`${head},"entry":[${entries.join(',')}]}`);
}
