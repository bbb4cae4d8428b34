import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createBundleSlicer } from '../../src/core/bundle-stream.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { referencePage } from '../support/bundle-reference.ts';
import { cutInChunks } from '../support/cut-page.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const MIB = 1024 * 1024;
const A = '{"resource":{"resourceType":"A","id":"1"}}';
const START = '{"resourceType":"Bundle","entry":[';

/** What a chunk completes, as text. */
function pushed(slicer: ReturnType<typeof createBundleSlicer>, text: string): string[] {
  return slicer.push(bytesOf(text)).map((entry) => (entry.kind === 'fault' ? entry.fault : textOf(entry.bytes)));
}

/** A page with all that can lie across an end: escapes, characters of several bytes, numbers, literals, odd keys, blanks. */
const INTRICATE = [
  '{"resource\\u0054ype" : "Bundle" ,"type":"searchset","total":12,',
  '"link":[{"relation":"next","url":"https:\\/\\/a.test\\u002fé😀?x=\\\\"}],"meta":{"entry":[{"resource":{}}]},"entry":[',
  '{"fullUrl":"urn:uuid:x","resource":{"contained":[{"resourceType":"No","id":"no"}],"id":"é-1","resourceType":"Pätient",',
  '"n":[-0,1.50E+2,true,false,null,"\\\\\\"",[[]],{}],"text":{"div":"<div>\\n\\"},{\\"</div>"}},"search":{"score":0.5}},',
  '\r\n\t {"resource":{"resourceType":"OperationOutcome"}} , 7 ,{"resource": null},{"\\u0072esource":{"i\\u0064":"2","resourceType":"B"}}',
  ']}  ',
].join('');

describe('a page that arrives in chunks', () => {
  test('hands out each entry with the chunk that ends it, and the rest with the end', () => {
    const slicer = createBundleSlicer();
    expect(
      pushed(slicer, '{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"A"'),
    ).toEqual([]);
    expect(pushed(slicer, ',"id":"1"}')).toEqual([]);
    expect(pushed(slicer, '}')).toEqual(['{"resourceType":"A","id":"1"}']);
    expect(pushed(slicer, `,7,${A},`)).toEqual(['not_an_object', '{"resourceType":"A","id":"1"}']);
    expect(pushed(slicer, '{}],"link":[{"relation":"next","url":"u')).toEqual(['no_resource']);
    expect(pushed(slicer, 'rl"}],"total":1')).toEqual([]);
    expect(pushed(slicer, '7}')).toEqual([]);
    expect(slicer.end()).toEqual({ kind: 'bundle', type: 'searchset', entries: 4, next: 'url', total: 17 });
  });

  test('is cut alike in chunks of every size, down to one byte', () => {
    const page = bytesOf(INTRICATE);
    const whole = cutInChunks(page, [page.length]);
    expect(whole.end).toEqual({
      kind: 'bundle',
      type: 'searchset',
      total: 12,
      next: 'https://a.test/é😀?x=\\',
      entries: 5,
    });
    expect(whole.entries).toMatchObject([
      { resourceType: 'Pätient', id: 'é-1' },
      { resourceType: 'OperationOutcome', id: '' },
      { index: 2, fault: 'not_an_object' },
      { index: 3, fault: 'no_resource' },
      { resourceType: 'B', id: '2' },
    ]);
    for (let size = 1; size <= page.length; size += 1) expect(cutInChunks(page, [size]), `${size}`).toEqual(whole);
    for (let size = 1; size < page.length; size += 1)
      expect(cutInChunks(page, [size, page.length]), `${size}`).toEqual(whole);
  });

  test('is cut alike wherever the scanner, which takes 16 kB at a time, has to go on', () => {
    const page = bytesOf(INTRICATE);
    const { end, entries } = cutInChunks(page, [page.length]);
    for (let shift = 1; shift <= page.length + 64; shift += 1) {
      const blanks = 16_384 - shift;
      const shifted = new Uint8Array(blanks + page.length).fill(0x20);
      shifted.set(page, blanks);
      const cut = cutInChunks(shifted, [shifted.length]);
      expect(cut.end, `${shift}`).toEqual(end);
      const moved = entries.map((entry) => ('at' in entry ? { ...entry, at: entry.at + blanks } : entry));
      expect(cut.entries, `${shift}`).toEqual(moved);
    }
  });

  test('may begin with a byte order mark in pieces, and only with a whole one', () => {
    const page = bytesOf(`\ufeff${START}${A}]}`);
    for (const size of [1, 2, 3, 4, 100]) expect(cutInChunks(page, [size]).entries).toMatchObject([{ at: 49 }]);
    expect(cutInChunks(page.subarray(1), [1]).end).toEqual({ kind: 'refused', reason: 'not_utf8' });
    // No character at all may stand there, so that nobody looks for the end of this one.
    expect(cutInChunks(page.subarray(0, 2), [1]).end).toEqual({ kind: 'refused', reason: 'not_json' });
    expect(cutInChunks(bytesOf('\ufffd{}'), [1]).end).toEqual({ kind: 'refused', reason: 'not_json' });
    expect(cutInChunks(page.subarray(0, 3), [3]).end).toEqual({ kind: 'refused', reason: 'not_json' });
  });

  test('is refused without a byte', () => {
    expect(createBundleSlicer().end()).toEqual({ kind: 'refused', reason: 'not_json' });
    expect(cutInChunks(new Uint8Array(), [1]).end).toEqual({ kind: 'refused', reason: 'not_json' });
  });

  test('may come in chunks that are views of a larger memory, and in empty ones', () => {
    const memory = Buffer.from(`garbage${START}${A}]}garbage`);
    const slicer = createBundleSlicer();
    expect(slicer.push(memory.subarray(7, 20))).toEqual([]);
    expect(slicer.push(new Uint8Array())).toEqual([]);
    expect(slicer.push(memory.subarray(20, -7))).toMatchObject([{ kind: 'resource', at: 46, id: '1' }]);
    expect(slicer.end().kind).toBe('bundle');
  });
});

describe('a page that is none', () => {
  test.each([
    ['not_json', '<html><body>Bad gateway</body></html>'],
    ['not_json', `${START}${A},}`],
    ['not_utf8', `${START}{"x":"\udcff`],
    ['too_deep', '['.repeat(600)],
  ])('is refused as %s as soon as it shows, and hands out nothing of that chunk and behind it', (reason, text) => {
    const slicer = createBundleSlicer();
    const bytes = text.includes('\udcff') ? Buffer.from(text.replace('\udcff', '\u00ff'), 'latin1') : bytesOf(text);
    expect(slicer.refused()).toBeUndefined();
    expect(slicer.push(Buffer.concat([bytes, Buffer.from('"')]))).toEqual([]);
    expect(slicer.refused()).toBe(reason);
    expect(slicer.push(bytesOf(`${START}${A}]}`))).toEqual([]);
    expect(slicer.end()).toEqual({ kind: 'refused', reason });
  });

  test('says so at its end, when entries are out already', () => {
    for (const rest of [
      ']',
      '],"resourceType":"Patient"}',
      '],"link":{}}',
      '],"entry":[]}',
      '],"link":[{"relation":"next"}]}',
    ]) {
      const slicer = createBundleSlicer();
      expect(pushed(slicer, `${START}${A}`)).toHaveLength(1);
      slicer.push(bytesOf(rest));
      expect(slicer.end(), rest).toMatchObject({ kind: 'refused' });
    }
  });

  test('of two lists of entries nothing of the second is handed out', () => {
    const slicer = createBundleSlicer();
    expect(pushed(slicer, `${START}${A}],`)).toHaveLength(1);
    expect(pushed(slicer, `"entry":[${A}]}`)).toEqual([]);
    expect(slicer.end()).toEqual({ kind: 'refused', reason: 'not_a_bundle' });
  });

  test.each(['"Patient"', '"OperationOutcome"', '["Bundle"]', '"bundle"'])(
    'hands out no entry, whether it says first or last that it is %s',
    (type) => {
      for (const text of [`{"resourceType":${type},"entry":[${A}]}`, `{"entry":[${A}],"resourceType":${type}}`])
        expect(cutInChunks(bytesOf(text), [7]).entries, text).toEqual([]);
    },
  );
});

describe('entries that come before the page has said what it is', () => {
  test('are held back, with bytes of their own, until it says that it is a Bundle', () => {
    const slicer = createBundleSlicer();
    const chunk = bytesOf(`{"entry":[7,${A}`);
    expect(slicer.push(chunk)).toEqual([]);
    chunk.fill(0x2a);
    expect(pushed(slicer, `,${A.replace('1', '2')}],"resourceType":"Bundl`)).toEqual([]);
    expect(pushed(slicer, 'e","type":"searchset"}')).toEqual([
      'not_an_object',
      '{"resourceType":"A","id":"1"}',
      '{"resourceType":"A","id":"2"}',
    ]);
    expect(slicer.end()).toEqual({ kind: 'bundle', type: 'searchset', entries: 3 });
  });

  test(`refuse the page beyond ${LIMITS.pageHeldBackMaxBytes / MIB} MiB, also when they are faults only`, () => {
    const large = bytesOf(`{"resource":{"resourceType":"A","id":"1","x":"${'x'.repeat(MIB)}"}},`);
    const faults = bytesOf('1,'.repeat(50_000));
    for (const [chunk, fits] of [
      [large, 63],
      [faults, 5],
    ] as const) {
      const slicer = createBundleSlicer();
      slicer.push(bytesOf('{"entry":['));
      for (let i = 0; i < fits; i += 1) slicer.push(chunk);
      expect(slicer.refused()).toBeUndefined();
      slicer.push(chunk);
      slicer.push(chunk);
      expect(slicer.refused()).toBe('late_type');
      expect(slicer.end()).toEqual({ kind: 'refused', reason: 'late_type' });
    }
  });
});

describe('an attachment of 30 MB in one string', () => {
  const SIZE = 30 * MIB;
  const head = bytesOf(`${START}{"resource":{"resourceType":"Binary","data":"`);
  const tail = bytesOf('","id":"1"}},');
  const GROWTH_MAX = 128 * MIB;
  const SECONDS_MAX = 10;

  test.each([16, 64])('is cut in chunks of %i kB in memory for little more than itself, and in time', (kib) => {
    const slicer = createBundleSlicer();
    const chunk = Buffer.alloc(kib * 1024, 'QUJD');
    const memory = () => process.memoryUsage().arrayBuffers;
    const before = memory();
    const startedAt = performance.now();
    let most = 0;
    slicer.push(head);
    for (let at = 0; at < SIZE; at += chunk.length) {
      expect(slicer.push(chunk)).toEqual([]);
      most = Math.max(most, memory() - before);
    }
    const [entry] = slicer.push(tail);
    most = Math.max(most, memory() - before);
    expect(entry).toMatchObject({ kind: 'resource', resourceType: 'Binary', id: '1' });
    expect(entry?.kind === 'resource' ? entry.bytes.length : 0).toBe(SIZE + 44);
    expect(most).toBeLessThan(GROWTH_MAX);
    expect((performance.now() - startedAt) / 1_000).toBeLessThan(SECONDS_MAX);
    expect(pushed(slicer, `${A}]}`)).toEqual(['{"resourceType":"A","id":"1"}']);
    expect(slicer.end()).toMatchObject({ kind: 'bundle', entries: 2 });
  });

  test('outside of the entries, what is no text is not kept', () => {
    const slicer = createBundleSlicer();
    const list = bytesOf(`,[${'7,'.repeat(32_000)}7]`);
    const before = process.memoryUsage().arrayBuffers;
    slicer.push(bytesOf('{"resourceType":"Bundle","extension":[0'));
    for (let at = 0; at < SIZE; at += list.length) expect(slicer.push(list)).toEqual([]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * MIB);
    expect(pushed(slicer, `],"entry":[${A}]}`)).toHaveLength(1);
  });
});

const dataDir = new URL('../../../shared/data/', import.meta.url);
const hasData = existsSync(dataDir);
const where = hasData ? '' : ' (NOT RUN: no ../shared/data beside this checkout)';
const SIZES = [61, 1_000, 65_536];
/** A call for each byte: for pages up to here. */
const BYTE_BY_BYTE_MAX = 300_000;

function filesOf(folder: string): { name: string; bytes: Uint8Array }[] {
  const url = new URL(`${folder}/`, dataDir);
  const names = readdirSync(url).filter((name) => name.endsWith('.json'));
  return names.map((name) => ({ name, bytes: readFileSync(new URL(encodeURIComponent(name), url)) }));
}

/** The same in one chunk and in many, and as a walk over the whole page finds it. */
function expectCutRight(name: string, page: Uint8Array): number {
  const whole = cutInChunks(page, [page.length]);
  expect(whole.end.kind, name).toBe('bundle');
  const { places, faults } = referencePage(page);
  const slices = whole.entries.flatMap((entry) => ('at' in entry ? [entry] : []));
  expect(
    slices.map(({ at, bytes }) => ({ start: at, end: at + bytes.length })),
    name,
  ).toEqual(places.map(({ start, end }) => ({ start, end })));
  for (const { at, bytes } of slices) expect(Buffer.compare(bytes, page.subarray(at, at + bytes.length)), name).toBe(0);
  expect(
    whole.entries.filter((entry) => 'fault' in entry),
    name,
  ).toEqual(faults);
  const sizes = page.length > BYTE_BY_BYTE_MAX ? SIZES : [1, ...SIZES];
  for (const size of sizes) expect(cutInChunks(page, [size]), `${name} in chunks of ${size}`).toEqual(whole);
  return whole.entries.length;
}

test.skipIf(!hasData)(`Bundles written by others are cut in chunks as in one piece${where}`, () => {
  let entries = 0;
  for (const { name, bytes } of [...filesOf('synthea'), ...filesOf('c4bb/bundles')])
    entries += expectCutRight(name, bytes);
  expect(entries).toBeGreaterThan(2_000);
});

test.skipIf(!hasData)(`resources written by others are cut out of a searchset in chunks${where}`, () => {
  const files = ['c4bb/hl7-2.0.0', 'us-core', 'odd-valid', 'malformed/fhir'].flatMap(filesOf);
  const entries = files.map(({ bytes }) => `{"fullUrl":"urn:x","resource":${textOf(bytes).trim()}}`);
  expect(expectCutRight('all of them', bytesOf(`${START}${entries.join(' ,\n')}]}`))).toBe(files.length);
  expect(files.length).toBeGreaterThan(200);
});

test.skipIf(!hasData)(`malformed files written by others are refused in chunks${where}`, () => {
  for (const { name, bytes } of filesOf('malformed/json'))
    for (const page of [bytes, bytesOf(`${START}{"resource":${textOf(bytes)}}]}`)])
      for (const size of [1, ...SIZES])
        expect(cutInChunks(page, [size]).end, `${name} in chunks of ${size}`).toEqual({
          kind: 'refused',
          reason: 'not_json',
        });
});
