import { resourceTypeSchema, VERDICTS } from '../contract/records.ts';
import { faultOf } from '../contract/wire.ts';
import { PerennialError } from '../core/errors.ts';
import { writeExport } from './export.ts';
import { typesOf } from './print.ts';
import { UsageError } from './read-json.ts';
import { idOf, type Shown, type Turn } from './remote-turn.ts';

/** What is known of each resource type of one authorization. */
export async function types({ api, input }: Turn): Promise<Shown> {
  const found = await api.types(idOf(input));
  return { json: found, text: typesOf(found) };
}

/** The operator's word on the suspected removals of one type. */
export async function suspected({ api, input }: Turn): Promise<Shown> {
  const id = idOf(input);
  const [, type, word] = input.operands;
  const parsed = resourceTypeSchema.safeParse(type);
  if (!parsed.success) throw new PerennialError('invalid_request', { field: faultOf(parsed.error, 'type') });
  const verdict = VERDICTS.find((known) => known === word);
  if (verdict === undefined) throw new UsageError(`the verdict must be one of ${VERDICTS.join(', ')}`);
  const settled = await api.settleSuspected({ id, resourceType: parsed.data, verdict });
  return { json: settled, text: `${id}: ${settled.count} of ${settled.resourceType} ${settled.verdict}\n` };
}

/** Writes the records into files, as Bulk Data servers lay them out. */
export async function exportTo({ api, input, options }: Turn): Promise<Shown> {
  const id = idOf(input);
  const { out: folder } = input.flags;
  if (folder === undefined || folder === '') throw new UsageError('--out DIR is missing');
  const request = `${options.baseUrl.replace(/\/+$/, '')}/v1/authorizations/${id}/records`;
  const manifest = await writeExport({ folder, request, open: () => api.records({ id }) });
  const count = manifest.output.reduce((total, file) => total + file.count, 0);
  const text = `${id}: ${count} resources of ${manifest.output.length} types in ${folder}, as of cursor ${manifest.extension.cursor}\n`;
  return { json: manifest, text };
}
