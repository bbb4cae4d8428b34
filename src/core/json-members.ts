import { NAMES, PART } from './json-scanner.ts';
import { nameOf, textAt } from './json-text.ts';
import { type KeptBytes, spanOf } from './kept-bytes.ts';

/** The members of one object, as the scanner tells of them: which one is under way, and the texts so far. */
export type Members = {
  /** Members that matter. */
  readonly names: readonly string[];
  /** For each number of the scanner's names the index among ours; -1 for the names that do not matter here. */
  readonly indexOfNumber: readonly number[];
  /** The index of the member under way. */
  index: number;
  /** The strings among the members, by index; of duplicates the last one counts, as in JSON.parse. */
  texts: (string | undefined)[];
  /** The texts of the object before: neighbours in a page are often of one resource type, which need not be decoded again. */
  guesses: (string | undefined)[];
};

/** No object yet. */
export function newMembers(names: readonly string[]): Members {
  const indexOfNumber = NAMES.map((name) => names.indexOf(name));
  return { names, indexOfNumber, index: -1, texts: names.map(() => undefined), guesses: names.map(() => undefined) };
}

/** Begins with a new object. */
export function openMembers(members: Members): void {
  const { texts, guesses } = members;
  members.index = -1;
  members.guesses = texts;
  members.texts = guesses;
  for (let i = 0; i < guesses.length; i += 1) guesses[i] = undefined;
}

/** Takes the key of the next member; `number` is the scanner's for its name, 0 where the key has to be read. */
export function takeKey(members: Members, kept: KeptBytes, from: number, to: number, number: number): void {
  members.index = number > 0 ? (members.indexOfNumber[number] ?? -1) : readKey(members.names, kept, from, to);
}

function readKey(names: readonly string[], kept: KeptBytes, from: number, to: number): number {
  const { bytes, start, end } = spanOf(kept, from, to);
  const name = nameOf(bytes, start, end, names);
  return name === undefined ? -1 : names.indexOf(name);
}

/** Takes the value of the member under way, or the opening of a value. Returns whether it is a member that matters. */
export function takeValue(members: Members, kept: KeptBytes, part: number, from: number, to: number): boolean {
  const { index } = members;
  if (index < 0) return false;
  members.texts[index] = part === PART.STRING ? readText(members, kept, from, to) : undefined;
  return true;
}

function readText({ guesses, index }: Members, kept: KeptBytes, from: number, to: number): string | undefined {
  const { bytes, start, end } = spanOf(kept, from, to);
  return textAt(bytes, start, end, guesses[index]);
}

/** The name of the member under way, if it matters. */
export function nameUnderWay({ names, index }: Members): string | undefined {
  return names[index];
}

/** The text of a member, if it is a string. */
export function textOf({ names, texts }: Members, name: string): string | undefined {
  return texts[names.indexOf(name)];
}
