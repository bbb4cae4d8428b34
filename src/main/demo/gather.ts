import { request } from 'undici';
import { z } from 'zod';
import { type Client, PerennialError } from '../../client.ts';
import { type ChangeView, changeSchema } from '../../contract/wire.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Played } from './play.ts';
import type { SandboxControl } from './sandbox-control.ts';
import { CAST, type Part } from './scenario.ts';
import { type Evidence, hashOfRecords } from './verdict.ts';

/** The last pulls wait their turn behind throttling; after this the verdict is given on what there is. */
const LAST_PULLS_CAP_MS = 10_000;
const LOOK_EVERY_MS = 200;
/** A small type that lost one resource has lost more than a fifth: such a removal is held until a second complete pull agrees. */
const LAST_PULLS = 2;
const CHANGES_LIMIT = 500;
const HTTP_OK = 200;

const changesSchema = z.object({ changes: z.array(changeSchema) });

type Gathering = {
  readonly client: Client;
  readonly control: SandboxControl;
  readonly clock: Clock;
  readonly played: Played;
  readonly url: string;
  readonly apiKey: string;
};

/** Stops the evolution, pulls until nothing is in suspense, and reads both sides' books. */
export async function gather(gathering: Gathering): Promise<readonly Evidence[]> {
  const { control } = gathering;
  await control.freeze();
  await Promise.all(CAST.map((part) => lastPulls({ ...gathering, part })));
  const rows = await control.rows();
  const evidence: Evidence[] = [];
  for (const part of CAST) {
    const row = rows.get(gathering.played.links.get(part.id)?.authorizationId ?? '');
    if (row === undefined) throw new PerennialError('internal', { field: 'sandbox stats' });
    const view = await gathering.client.status(part.id);
    const records = await readText({ ...gathering, path: `/v1/authorizations/${part.id}/records` });
    const hashed = records === null ? null : hashOfRecords(records);
    evidence.push({
      part,
      view,
      row,
      changes: await readChanges({ ...gathering, id: part.id }),
      recordsSha256: hashed?.sha256 ?? null,
      records: hashed?.count ?? 0,
      worstAge: gathering.played.worstAges.get(part.id) ?? { ageSeconds: 0, promiseSeconds: 0 },
      requestsAfterPurge: row.fhirRequests - (gathering.played.requestsAtPurge.get(part.id) ?? row.fhirRequests),
    });
  }
  return evidence;
}

/** Asks for the last pulls of what is still active, one after the other. */
async function lastPulls(gathering: Gathering & { readonly part: Part }): Promise<void> {
  for (let pull = 0; pull < LAST_PULLS; pull += 1) await lastPull(gathering);
}

/** Asks for one more pull of what is still active, and waits until one that began after this call is complete. */
async function lastPull({ client, clock, part }: Gathering & { readonly part: Part }): Promise<void> {
  const askedAt = clock.now();
  const giveUpAt = clock.wallNow() + LAST_PULLS_CAP_MS;
  while (clock.wallNow() < giveUpAt) {
    const view = await client.status(part.id);
    if (view.state !== 'active' || view.usage !== 'MULTIPLE') return;
    const { lastPull: pull } = view;
    if (pull !== null && pull.result === 'complete' && Date.parse(pull.at) >= askedAt) return;
    await client.pull(part.id);
    await clock.sleep(LOOK_EVERY_MS);
  }
}

async function readText({
  url,
  apiKey,
  path,
}: {
  readonly url: string;
  readonly apiKey: string;
  readonly path: string;
}): Promise<string | null> {
  const response = await request(`${url}${path}`, { headers: { authorization: `Bearer ${apiKey}` } });
  const text = await response.body.text();
  return response.statusCode === HTTP_OK ? text : null;
}

async function readChanges({
  url,
  apiKey,
  id,
}: {
  readonly url: string;
  readonly apiKey: string;
  readonly id: string;
}): Promise<readonly ChangeView[]> {
  const text = await readText({ url, apiKey, path: `/v1/authorizations/${id}/changes?limit=${CHANGES_LIMIT}` });
  return text === null ? [] : changesSchema.parse(JSON.parse(text)).changes;
}
