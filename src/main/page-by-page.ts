import { PerennialError } from '../core/errors.ts';

/** At 500 entries a page half a billion of them: more than any trail has. */
const PAGES_MAX = 1_000_000;

/**
 * The pages of a listing until one says that it is the last.
 * @throws PerennialError `internal` for a server that gives the same place again, or pages without end: a command must not run for ever.
 */
export async function* pageByPage<Page, Place>({
  from,
  read,
  nextOf,
}: {
  readonly from: Place;
  readonly read: (after: Place) => Promise<Page>;
  /** Where the next page begins; null behind the last one. */
  readonly nextOf: (page: Page) => Place | null;
}): AsyncGenerator<Page> {
  let after = from;
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const page = await read(after);
    yield page;
    const next = nextOf(page);
    if (next === null) return;
    if (next === after) break;
    after = next;
  }
  throw new PerennialError('internal', { field: 'a listing that does not end' });
}
