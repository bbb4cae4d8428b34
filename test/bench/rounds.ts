import type { Corpus } from './corpus.ts';
import type { AtRest, House } from './house.ts';
import type { PageServer } from './page-server.ts';
import type { Script } from './script.ts';

/** How long one round's work took, and what it moved. Everything of a round follows on each other, so that a slow second of the machine meets all. */
export type Round = {
  readonly parse: Timed;
  readonly first: Timed;
  readonly unchanged: Timed;
  readonly script: number;
  readonly scriptInOne: number;
  readonly fullWireBytes: number;
  readonly changesWireBytes: number;
  readonly atRestBytes: number;
  /** What an unchanged pull and a pull of changes wrote of records, manifests and change lists: nothing, or what it was. */
  readonly written: readonly string[];
};

/** Seconds on the clock, and of the processor in this thread, which does neither the serving nor the compressing. */
export type Timed = { readonly seconds: number; readonly cpuSeconds: number };

export type Stage = {
  readonly corpus: Corpus;
  readonly server: PageServer;
  readonly house: House;
  readonly script: Script;
  readonly scriptPages: readonly string[];
};

const MICROSECONDS = 1e6;

/** One round: parsing, a first pull, an unchanged one, one of changes only, and the script. */
export async function playRound({ corpus, server, house, script, scriptPages }: Stage): Promise<Round> {
  const ids: string[] = [];
  for (const { id } of corpus.patients) ids.push(await house.accept(id));
  const pullAll = (what: 'full' | 'changes') => pullEach({ house, ids, what });
  const parse = [await timed(() => parseAll(corpus))];
  const wire = [await server.wireBytes()];
  const first = await timed(() => pullAll('full'));
  if (first.result.bytes !== corpus.bytes) throw new Error(`${first.result.bytes} of ${corpus.bytes} bytes pulled`);
  if (first.result.changed !== corpus.resources) throw new Error(`${first.result.changed} records were stored`);
  wire.push(await server.wireBytes());
  const before = await restOf({ house, ids });
  parse.push(await timed(() => parseAll(corpus)));
  const unchanged = await timed(() => pullAll('full'));
  const afterFull = await restOf({ house, ids });
  wire.push(await server.wireBytes());
  const changes = await pullAll('changes');
  wire.push(await server.wireBytes());
  if (changes.reasons.some((reason) => reason !== 'changes_only')) throw new Error(`pulled: ${changes.reasons}`);
  const afterChanges = await restOf({ house, ids });
  const inserted = await timed(() => script.pull({ urls: scriptPages, inOne: false }));
  const insertedInOne = await timed(() => script.pull({ urls: scriptPages, inOne: true }));
  const [atStart = 0, afterFirst = 0, atUnchanged = 0, atEnd = 0] = wire;
  return {
    parse: meanOf(parse),
    first,
    unchanged,
    script: inserted.seconds,
    scriptInOne: insertedInOne.seconds,
    fullWireBytes: afterFirst - atStart,
    changesWireBytes: atEnd - atUnchanged,
    atRestBytes: before.reduce((sum, { bytes }) => sum + bytes, 0),
    written: [...differences(before, afterFull), ...differences(before, afterChanges)],
  };
}

async function pullEach({
  house,
  ids,
  what,
}: {
  readonly house: House;
  readonly ids: readonly string[];
  readonly what: 'full' | 'changes';
}): Promise<{ readonly bytes: number; readonly changed: number; readonly reasons: readonly string[] }> {
  const total = { bytes: 0, changed: 0 };
  const reasons: string[] = [];
  for (const id of ids) {
    const { bytes, changed, reason } = await house.pull({ id, what });
    total.bytes += bytes;
    total.changed += changed;
    reasons.push(reason);
  }
  return { ...total, reasons };
}

function meanOf(times: readonly Timed[]): Timed {
  const mean = (of: (time: Timed) => number) => times.reduce((sum, time) => sum + of(time), 0) / times.length;
  return { seconds: mean(({ seconds }) => seconds), cpuSeconds: mean(({ cpuSeconds }) => cpuSeconds) };
}

/** The text is decoded first, as whoever parses bytes from a socket has to. */
function parseAll({ pages, resources }: Corpus): void {
  const count = pages.reduce((sum, page) => sum + JSON.parse(page.toString()).entry.length, 0);
  if (count !== resources) throw new Error(`${count} of ${resources} resources parsed`);
}

async function restOf({
  house,
  ids,
}: {
  readonly house: House;
  readonly ids: readonly string[];
}): Promise<readonly AtRest[]> {
  const all: AtRest[] = [];
  for (const id of ids) all.push(await house.atRest(id));
  return all;
}

/** A seal differs each time it is made, so that what was written again differs too, whatever it holds. */
function differences(before: readonly AtRest[], after: readonly AtRest[]): readonly string[] {
  return before.flatMap(({ parts }, index) => {
    const now = after[index]?.parts ?? new Map<string, Uint8Array>();
    return [...new Set([...parts.keys(), ...now.keys()])].filter((name) => {
      const [left, right] = [parts.get(name), now.get(name)];
      return left === undefined || right === undefined || Buffer.compare(left, right) !== 0;
    });
  });
}

async function timed<T>(work: () => T | Promise<T>): Promise<Timed & { readonly result: T }> {
  const cpuAt = process.threadCpuUsage();
  const startedAt = performance.now();
  const result = await work();
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.threadCpuUsage(cpuAt);
  return { result, seconds, cpuSeconds: (user + system) / MICROSECONDS };
}
