import type { Authorization } from '../core/authorization.ts';
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
};

/** Where an unforeseen error came from: function names and lines, never its message, which may quote data. */
export function framesOf(error: unknown): string {
  if (error instanceof PerennialError || !(error instanceof Error)) return '';
  const frames = (error.stack ?? '').split('\n').filter((line) => line.trimStart().startsWith('at '));
  return frames
    .slice(0, 4)
    .map((line) => line.trim().replace(/\(?file:\/\/.*\/(src|jobs|node_modules)\//, '($1/'))
    .join(' < ');
}
