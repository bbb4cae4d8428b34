import { refreshAndPull } from '../../src/flows/refresh-and-pull.ts';
import type { System } from './system.ts';
import { until } from './system-until.ts';
import { requestOf, type World } from './world.ts';

/** Nothing is pulled but what the test asks for: a second pull would settle what the first one suspects. */
const cadence = { pullEverySeconds: 31 * 24 * 3_600 };
/** An authorization whose records were pulled once, and its patient at the source. */
export async function pulled({
  stage: { system, world },
  id,
  size,
}: {
  readonly stage: { readonly system: System; readonly world: World };
  readonly id: string;
  readonly size: number;
}): Promise<string> {
  const link = await world.link({ size });
  await system.accept(requestOf(link, { id, cadence }));
  await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
  return link.patient;
}

/** One full pull, and not two as an asking through the queue may come to. */
export async function pull({ context }: System, authorizationId: string): Promise<void> {
  const { signal } = new AbortController();
  const run = () => refreshAndPull({ context, authorizationId, askedFor: true, signal });
  await until('a pull', run, ({ kind }) => kind === 'done');
}

/** A stored line's `Type/id`. */
export function nameOf(line: string): string {
  const resource: { resourceType: string; id: string } = JSON.parse(line);
  return `${resource.resourceType}/${resource.id}`;
}
