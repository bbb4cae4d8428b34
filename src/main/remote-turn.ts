import type { HttpApi } from '../client/http.ts';
import { faultOf, idSchema } from '../contract/wire.ts';
import { PerennialError } from '../core/errors.ts';
import { UsageError } from './read-json.ts';

type Output = { readonly write: (text: string) => unknown; readonly columns?: number };

/** What each command is given. `stdin` is read for the file `-`. */
export type RemoteOptions = {
  /** Without the command's own name. */
  readonly args: readonly string[];
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly out: Output;
  readonly err: Output;
  readonly stdin?: AsyncIterable<unknown>;
};

export type Input = {
  readonly operands: readonly string[];
  readonly flags: Readonly<Record<string, string | undefined>>;
};
/** One call of a command. */
export type Turn = { readonly api: HttpApi; readonly input: Input; readonly options: RemoteOptions };
/** What a command prints, with --json and without. */
export type Shown = {
  readonly json: unknown;
  readonly text: string;
  /** It was answered, and the answer is bad news: the exit code says so too. */
  readonly failed?: boolean;
};

/** The id that stands first. @throws PerennialError `invalid_request`. */
export function idOf({ operands }: Input): string {
  const parsed = idSchema.safeParse(operands[0]);
  if (!parsed.success) throw new PerennialError('invalid_request', { field: faultOf(parsed.error, 'id') });
  return parsed.data;
}

/** A flag's number. @throws UsageError naming the flag and its range. */
export function wholeNumber({
  input,
  flag,
  least,
  most,
}: {
  readonly input: Input;
  readonly flag: string;
  readonly least: number;
  readonly most: number;
}): number | undefined {
  const text = input.flags[flag];
  if (text === undefined) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${flag} must be ${least} to ${most}`);
}
