import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';

const SOURCE = 'json-scanner.ts';
const TARGET = new URL('../core/json-scanner-wasm.ts', import.meta.url);
const OPTIONS = [
  SOURCE,
  '-O3',
  '--runtime',
  'stub',
  '--noAssert',
  '--enable',
  'simd',
  '--enable',
  'relaxed-simd',
  '-o',
  'scanner.wasm',
];
/** Pages of 64 kB: the tables, one window, its tokens and parts. The memory never grows. */
const MEMORY = ['--initialMemory', '6', '--maximumMemory', '6'];
const LINE = 110;

/** The text of the TypeScript file that holds the compiled scanner. The compiler is pinned, so the text is always the same. */
export async function compiledScanner(): Promise<string> {
  let wasm: Uint8Array = new Uint8Array();
  const { error, stderr } = await asc.main([...OPTIONS, ...MEMORY], {
    readFile: (name) => {
      const file = new URL(name, import.meta.url);
      return existsSync(file) ? readFileSync(file, 'utf8') : null;
    },
    writeFile: (name, contents) => {
      if (name === 'scanner.wasm' && typeof contents !== 'string') wasm = contents;
    },
    listFiles: () => [],
  });
  if (error !== null) throw new Error(`src/wasm/${SOURCE} does not compile:\n${stderr.toString()}`, { cause: error });
  const lines =
    Buffer.from(wasm)
      .toString('base64')
      .match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  return [
    '// Made by `npm run wasm` from the sources in src/wasm/, in base64; a test compiles them again and compares. Not to be edited.',
    'export const SCANNER_WASM = [',
    ...lines.map((line) => `  '${line}',`),
    "].join('');",
    '',
  ].join('\n');
}

if (import.meta.main) writeFileSync(TARGET, await compiledScanner());
