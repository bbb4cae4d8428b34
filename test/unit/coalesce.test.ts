import { expect, test } from 'vitest';
import { coalesced } from '../../src/adapters/queue/coalesce.ts';

/** Passes that end when they are told to; each answers an id with its pass's number. */
function passes(idsMax: number) {
  const begun: { readonly ids: readonly string[]; readonly end: PromiseWithResolvers<void> }[] = [];
  const ask = coalesced({
    idsMax,
    pass: async (ids) => {
      const end = Promise.withResolvers<void>();
      const nth = begun.push({ ids, end });
      await end.promise;
      return new Map(ids.filter((id) => id !== 'unknown').map((id) => [id, nth]));
    },
  });
  return { begun, ask: (id: string) => ask(id, 0) };
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

test('calls that come during a pass share the next one, and none is answered by a pass that began before it', async () => {
  const { begun, ask } = passes(10);
  const first = ask('a');
  await settle();
  const later = [ask('b'), ask('a'), ask('b'), ask('unknown')];
  await settle();
  expect(begun.map(({ ids }) => ids)).toEqual([['a']]);
  begun[0]?.end.resolve();
  expect(await first).toBe(1);
  await settle();
  expect(begun.map(({ ids }) => ids)).toEqual([['a'], ['b', 'a', 'unknown']]);
  begun[1]?.end.resolve();
  expect(await Promise.all(later)).toEqual([2, 2, 2, 0]);
});

test('a pass takes no more than its share, and the rest follow', async () => {
  const { begun, ask } = passes(2);
  const calls = ['a', 'b', 'c', 'd'].map((id) => ask(id));
  for (let nth = 0; nth < 3; nth += 1) {
    await settle();
    begun[nth]?.end.resolve();
  }
  await Promise.all(calls);
  expect(begun.map(({ ids }) => ids)).toEqual([['a'], ['b', 'c'], ['d']]);
});

test('a pass that fails rejects its own calls, and the next pass is as good as ever', async () => {
  const { begun, ask } = passes(10);
  const failing = ask('a').catch((error: unknown) => error);
  await settle();
  const next = ask('b');
  begun[0]?.end.reject(new Error('away'));
  expect(await failing).toMatchObject({ message: 'away' });
  await settle();
  begun[1]?.end.resolve();
  expect(await next).toBe(2);
});
