import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { NAMES } from '../../src/core/json-scanner.ts';
import { compiledScanner } from '../../src/wasm/compile.ts';

const projectFile = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

test('the committed scanner is what its sources compile to', async () => {
  expect(projectFile('src/core/json-scanner-wasm.ts')).toBe(await compiledScanner());
});

test('the scanner and its reader count the names alike', () => {
  const numbers = [...projectFile('src/wasm/names.ts').matchAll(/^const NAME_(\w+): i32 = (\d+);$/gm)];
  const named = numbers.map(([, name = '', number]) => [camelOf(name), Number(number)]);
  expect(named).toEqual(NAMES.slice(1).map((name, i) => [name, i + 1]));
});

function camelOf(name: string): string {
  return name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
