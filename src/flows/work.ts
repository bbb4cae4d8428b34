import type { Authorization, TroubleKind } from '../core/authorization.ts';
import type { Instant } from '../core/clock.ts';
import { PerennialError } from '../core/errors.ts';
import type { Source } from '../core/ports/upstream.ts';
import type { DataKey } from '../core/ports/vault.ts';
import type { Context } from './context.ts';
import type { Held } from './lease.ts';

/** What one run works on: the authorization as read under the lease, its source and its opened key. */
export type Work = {
  readonly context: Context;
  readonly held: Held;
  readonly authorization: Authorization;
  readonly source: Source;
  readonly key: DataKey;
  /** Until when the endpoint's gate has no token asked for, and why; without it tokens may be asked for. */
  readonly noTokens?: { readonly until: Instant; readonly trouble: TroubleKind };
};

/** A frame as V8 writes it, with its place in our code, a library or Node itself. */
const FRAME =
  /^at (?:(?:async |new )*[\w$.<>#]+ (?:\[as [\w$.]+\] )?)?\(?(?:(?:file:\/\/)?\/\S*?\/)?((?:src|jobs|dist|node_modules|node:)[\w$./@:-]*:\d+:\d+)\)?$/;
/** Where it was thrown, and who called. */
const FRAMES_MAX = 4;

/** Where an unforeseen error came from: files and lines, never its message, which may quote data, also when it looks like a frame. */
export function framesOf(error: unknown): string {
  if (error instanceof PerennialError || !(error instanceof Error)) return '';
  const said = new Set(
    String(error.message)
      .split('\n')
      .map((line) => line.trim()),
  );
  return String(error.stack ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => !said.has(line))
    .map((line) => FRAME.exec(line)?.[1])
    .filter((place) => place !== undefined)
    .slice(0, FRAMES_MAX)
    .join(' < ');
}
