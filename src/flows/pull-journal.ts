import { type JournalPage, journalPageSchema, pullStateSchema } from '../contract/journal.ts';
import { PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { Codec } from '../core/ports/codec.ts';
import type { DataKey } from '../core/ports/vault.ts';
import { NO_PULL_YET, type PullState } from '../core/pull-state.ts';
import type { Context } from './context.ts';

export type Journal = { readonly state: PullState; readonly pages: readonly JournalPage[] };

/** Opens what is kept of an authorization's pulls; of one that was never pulled, nothing. @throws PerennialError `unseal_failed` for what is not ours. */
export async function openJournal({
  context,
  key,
  authorizationId,
}: {
  readonly context: Context;
  readonly key: DataKey;
  readonly authorizationId: string;
}): Promise<Journal> {
  const { state, pages } = await context.store.pullJournal(authorizationId);
  const open = (sealed: Uint8Array, part: Part) => openPart({ codec: context.codec, key, sealed, part });
  const opened: JournalPage[] = [];
  for (const page of pages) opened.push(checked(journalPageSchema.safeParse(await open(page, 'page'))));
  const known = state === null ? NO_PULL_YET : checked(pullStateSchema.safeParse(await open(state, 'state')));
  return { state: known, pages: opened };
}

type Part = 'state' | 'page';

/** Seals one part of the journal under the authorization's key. */
export async function sealPart({
  codec,
  key,
  part,
  value,
}: {
  readonly codec: Codec;
  readonly key: DataKey;
  readonly part: Part;
  readonly value: PullState | JournalPage;
}): Promise<Uint8Array> {
  const bytes = await codec.compress(new TextEncoder().encode(JSON.stringify(value)));
  return key.seal({ purpose: 'journal', context: part, bytes });
}

async function openPart({
  codec,
  key,
  sealed,
  part,
}: {
  readonly codec: Codec;
  readonly key: DataKey;
  readonly sealed: Uint8Array;
  readonly part: Part;
}): Promise<unknown> {
  const bytes = key.unseal({ purpose: 'journal', context: part, sealed });
  const plain = await codec.expand({ bytes, maxBytes: LIMITS.packMaxBytes });
  const parsed: unknown = JSON.parse(new TextDecoder().decode(plain));
  return parsed;
}

function checked<T>(parsed: { readonly success: true; readonly data: T } | { readonly success: false }): T {
  if (!parsed.success) throw new PerennialError('unseal_failed');
  return parsed.data;
}
