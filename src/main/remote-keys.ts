import type { KeyCensusView, RotationView } from '../contract/keys.ts';
import { pageByPage } from './page-by-page.ts';
import { table } from './print.ts';
import type { Shown, Turn } from './remote-turn.ts';

const FATES = ['rewrapped', 'current', 'gone', 'unreadable'] as const;
type Sum = Pick<RotationView, 'currentKeyId' | (typeof FATES)[number]>;

/** Wraps every data key by the current key, page by page. Whatever ends it, another call goes on: what is done counts as current then. */
export async function rotateKeys({ api, options: { err } }: Turn): Promise<Shown> {
  const sum: Sum = { currentKeyId: '', rewrapped: 0, current: 0, gone: 0, unreadable: 0 };
  const pages = pageByPage<RotationView, string | undefined>({ from: undefined, read: api.rotateKeys, nextOf });
  for await (const page of pages) {
    sum.currentKeyId = page.currentKeyId;
    for (const fate of FATES) sum[fate] += page[fate];
    // One line that grows, and ends when all is done.
    err.write(`\r${progressOf(sum)}`);
  }
  err.write('\n');
  const left =
    sum.unreadable === 0
      ? `every data key is wrapped by ${sum.currentKeyId} now: older keys may leave ENCRYPTION_KEYS\n`
      : `${sum.unreadable} data keys are opened by none of ENCRYPTION_KEYS and are left as they are; perennial keys status tells by which key they are wrapped\n`;
  return { json: sum, text: left, failed: sum.unreadable > 0 };
}

/** Which key wraps how many. */
export async function keysStatus({ api }: Turn): Promise<Shown> {
  const wraps = new Map<string, KeyCensusView['keys'][number]>();
  const census = { currentKeyId: '', unreadable: 0 };
  const pages = pageByPage<KeyCensusView, string | undefined>({ from: undefined, read: api.keys, nextOf });
  for await (const page of pages) {
    census.currentKeyId = page.currentKeyId;
    census.unreadable += page.unreadable;
    for (const one of page.keys) {
      wraps.set(one.keyId, { ...one, wraps: one.wraps + (wraps.get(one.keyId)?.wraps ?? 0) });
    }
  }
  const keys = [...wraps.values()].sort((left, right) => right.wraps - left.wraps);
  const rows = keys.map(({ keyId, held, wraps: count }) => [
    keyId,
    keyId === census.currentKeyId ? 'current' : held ? 'held' : 'NOT IN ENCRYPTION_KEYS',
    String(count),
  ]);
  if (census.unreadable > 0) rows.push(['-', 'UNREADABLE', String(census.unreadable)]);
  return { json: { ...census, keys }, text: table([['KEY', 'STATE', 'DATA KEYS'], ...rows]) };
}

function nextOf({ next }: { readonly next: string | null }): string | null {
  return next;
}

function progressOf({ rewrapped, current, gone, unreadable }: Sum): string {
  return `${rewrapped} rewrapped, ${current} current already, ${gone} gone, ${unreadable} unreadable`;
}
