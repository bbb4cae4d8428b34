import { randomBytes } from 'node:crypto';
import { type FileHandle, link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { PerennialError } from '../../core/errors.ts';
import { limits } from './limits.ts';

const holderSchema = z.object({ pid: z.int().positive(), host: z.string(), token: z.string() });
type Holder = z.infer<typeof holderSchema>;

/** What was found under the lock's name; a holder of null wrote something that is not ours. */
type Found = { readonly text: string; readonly holder: Holder | null; readonly touchedAt: number };

export type DataDirLock = { readonly release: () => Promise<void> };

/** Tokens of the locks that this process holds: in a container, a process that died had the same pid as its successor has. */
const heldHere = new Set<string>();

/**
 * Takes a DATA_DIR for this process alone; it is made, for this user only, if it is not there. A lock whose holder is dead is taken over: on this
 * host the process list tells, for another host (a container that was replaced) the age of its last touch.
 * @throws PerennialError `data_dir_in_use` while another process has it.
 */
export async function lockDataDir({
  dataDir,
  pid,
}: {
  readonly dataDir: string;
  readonly pid: number;
}): Promise<DataDirLock> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    return await take({ file: join(dataDir, 'lock'), pid });
  } catch (error) {
    throw error instanceof PerennialError ? error : new PerennialError('internal', { field: 'DATA_DIR' });
  }
}

/** The lock comes into being with its content, by linking a finished draft: nobody ever reads half of it. */
async function take({ file, pid }: { readonly file: string; readonly pid: number }): Promise<DataDirLock> {
  const token = randomBytes(16).toString('hex');
  const draft = `${file}.${token}`;
  const text = JSON.stringify({ pid, host: hostname(), token } satisfies Holder);
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.write(text, 0);
    const { mtimeMs: now } = await handle.stat();
    for (let tries = 0; tries < limits.lockTries; tries += 1) {
      if (await done(link(draft, file), 'EEXIST')) return hold({ file, text, token, handle });
      const found = await look(file);
      if (found === null) continue;
      if (isHeld({ found, pid, now })) break;
      await removeStale({ file, found, aside: `${draft}.stale` });
    }
    throw new PerennialError('data_dir_in_use', { field: 'DATA_DIR' });
  } catch (error) {
    await handle.close();
    throw error;
  } finally {
    await unlink(draft);
  }
}

function hold({
  file,
  text,
  token,
  handle,
}: {
  readonly file: string;
  readonly text: string;
  readonly token: string;
  readonly handle: FileHandle;
}): DataDirLock {
  heldHere.add(token);
  // The same bytes over themselves: a new modification time by the file system's clock.
  const touching = setInterval(() => {
    handle.write(text, 0).catch(() => undefined);
  }, limits.lockTouchEveryMs).unref();
  return {
    release: async () => {
      clearInterval(touching);
      if (!heldHere.delete(token)) return;
      await handle.close();
      if ((await look(file))?.holder?.token === token) await done(unlink(file), 'ENOENT');
    },
  };
}

async function look(file: string): Promise<Found | null> {
  try {
    const { mtimeMs: touchedAt, size } = await stat(file);
    if (size > limits.lockMaxBytes) return { text: '', holder: null, touchedAt };
    const text = await readFile(file, 'utf8');
    return { text, holder: parseHolder(text), touchedAt };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

function parseHolder(text: string): Holder | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return holderSchema.safeParse(parsed).data ?? null;
  } catch {
    return null;
  }
}

function isHeld({
  found: { holder, touchedAt },
  pid,
  now,
}: {
  readonly found: Found;
  readonly pid: number;
  readonly now: number;
}): boolean {
  if (holder === null || holder.host !== hostname()) {
    return now - touchedAt < limits.lockTouchEveryMs * limits.lockTouchesMissed;
  }
  return holder.pid === pid ? heldHere.has(holder.token) : isRunning(holder.pid);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

/** Moves the stale lock away first: if another process took over meanwhile, what was moved is its live one and is put back. */
async function removeStale({
  file,
  found,
  aside,
}: {
  readonly file: string;
  readonly found: Found;
  readonly aside: string;
}): Promise<void> {
  if (!(await done(rename(file, aside), 'ENOENT'))) return;
  if ((await readFile(aside, 'utf8')) !== found.text) await done(link(aside, file), 'EEXIST');
  await unlink(aside);
}

/** Whether it was done; false when it failed in the one expected way. */
async function done(action: Promise<void>, expected: string): Promise<boolean> {
  try {
    await action;
    return true;
  } catch (error) {
    if (hasCode(error, expected)) return false;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
