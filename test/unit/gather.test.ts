import { expect, test } from 'vitest';
import { gathered } from '../../src/adapters/store/gather.ts';

type Input = { readonly authorizationId: string; readonly nth: number };

/** Passes that end when they are told to; each answers an input with its own number. */
function passes() {
  const begun: { readonly ids: readonly string[]; readonly end: PromiseWithResolvers<void> }[] = [];
  const ask = gathered(async (inputs: readonly Input[]) => {
    const end = Promise.withResolvers<void>();
    begun.push({ ids: inputs.map(({ authorizationId }) => authorizationId), end });
    await end.promise;
    return inputs.map(({ nth }) => nth);
  });
  const begins = async (count: number): Promise<void> => {
    while (begun.length < count) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  return { begun, begins, ask: (authorizationId: string, nth: number) => ask({ authorizationId, nth }) };
}

test('calls of one moment share a pass, those that come meanwhile the next, and each has its own answer', async () => {
  const { begun, begins, ask } = passes();
  const first = [ask('b', 1), ask('a', 2)];
  await begins(1);
  const later = [ask('d', 3), ask('c', 4), ask('a', 5)];
  begun[0]?.end.resolve();
  await begins(2);
  begun[1]?.end.resolve();
  expect(await Promise.all([...first, ...later])).toEqual([1, 2, 3, 4, 5]);
  expect(begun.map(({ ids }) => ids)).toEqual([
    ['a', 'b'],
    ['a', 'c', 'd'],
  ]);
});

test('two calls for one authorization go one after the other, in their order', async () => {
  const { begun, begins, ask } = passes();
  const calls = [ask('a', 1), ask('a', 2), ask('b', 3)];
  await begins(1);
  begun[0]?.end.resolve();
  await begins(2);
  begun[1]?.end.resolve();
  expect(await Promise.all(calls)).toEqual([1, 2, 3]);
  expect(begun.map(({ ids }) => ids)).toEqual([['a', 'b'], ['a']]);
});

test('a pass over a connection that has gone silent holds up nobody for longer than a moment', async () => {
  const { begun, begins, ask } = passes();
  const hanging = ask('a', 1);
  await begins(1);
  const next = ask('b', 2);
  await begins(2);
  begun[1]?.end.resolve();
  expect(await next).toBe(2);
  begun[0]?.end.resolve();
  expect(await hanging).toBe(1);
});

test('a pass that fails rejects its calls, and no others', async () => {
  const { begun, begins, ask } = passes();
  const failing = ask('a', 1);
  await begins(1);
  begun[0]?.end.reject(new Error('away'));
  await expect(failing).rejects.toThrow('away');
  const next = ask('a', 2);
  await begins(2);
  begun[1]?.end.resolve();
  expect(await next).toBe(2);
});
