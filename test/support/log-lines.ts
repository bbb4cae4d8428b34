import { isErrorCode } from '../../src/client/exchange.ts';
import { idSchema } from '../../src/contract/wire.ts';

/** A word of our own code: lower case, no spaces. No token, name, reference or sentence looks like it. */
const WORD = /^[a-z][a-z0-9_-]{0,63}$/;
const word = (value: unknown): boolean => typeof value === 'string' && WORD.test(value);
const number = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);
const matching =
  (pattern: RegExp) =>
  (value: unknown): boolean =>
    typeof value === 'string' && pattern.test(value);

/** Every field that a line may have, and how its value looks. Whoever logs a new one says here what it may hold. */
const FIELDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  level: (value) => ['info', 'warn', 'error'].includes(String(value)),
  time: matching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  event: word,
  authorizationId: (value) => idSchema.safeParse(value).success,
  source: word,
  network: matching(/^[A-Z][A-Z0-9_]{2,31}$/),
  endpointId: matching(/^[\w.-]{1,64}$/),
  service: word,
  queue: word,
  job: word,
  outcome: word,
  state: word,
  reason: matching(/^(?:[a-z][a-z0-9_-]{0,63}|SIG[A-Z0-9]+)$/),
  code: (value) => typeof value === 'string' && isErrorCode(value),
  durationMs: number,
  count: number,
  added: number,
  modified: number,
  removed: number,
  pages: number,
  bytes: number,
  status: number,
  route: matching(/^(?:[A-Z]+ )?\/[\w/:.*-]*$/),
  address: matching(/^[\w.:/-]{1,64}$/),
  field: matching(/^[\w+ .-]{1,64}$/),
  frames: matching(/^(?:[\w$./@:-]+:\d+:\d+(?: < )?)*$/),
};

/** The lines that hold anything but known fields of known shapes, each with what is odd about it. */
export function oddLines(lines: readonly string[]): readonly string[] {
  return lines
    .filter((line) => line !== '')
    .flatMap((line) => {
      const odd = oddnessOf(line);
      return odd === null ? [] : [`${odd}: ${line.slice(0, 300)}`];
    });
}

function oddnessOf(line: string): string | null {
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return 'no object';
    const odd = Object.entries(parsed).find(
      ([name, value]) => !Object.hasOwn(FIELDS, name) || FIELDS[name]?.(value) !== true,
    );
    return odd === undefined ? null : odd[0];
  } catch {
    return 'no JSON';
  }
}
