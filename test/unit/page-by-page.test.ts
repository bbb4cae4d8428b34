import { expect, test } from 'vitest';
import { pageByPage } from '../../src/main/page-by-page.ts';

async function readAll(nexts: readonly (number | null)[]): Promise<readonly number[]> {
  const asked: number[] = [];
  const pages = pageByPage({
    from: 0,
    read: async (after: number) => {
      asked.push(after);
      return nexts[asked.length - 1] ?? null;
    },
    nextOf: (next) => next,
  });
  for await (const _page of pages) expect(asked.length).toBeLessThan(10);
  return asked;
}

test('a listing is read from place to place, until a page says that it is the last', async () => {
  expect(await readAll([3, 7, null])).toEqual([0, 3, 7]);
});

test('a server that gives the same place again does not keep a command for ever', async () => {
  await expect(readAll([3, 3, 3, 3, 3, 3, 3, 3, 3, 3])).rejects.toMatchObject({ code: 'internal' });
});
