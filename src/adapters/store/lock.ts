import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { PerennialError } from '../../core/errors.ts';
import { limits } from './limits.ts';

const holderSchema = z.object({ pid: z.int().positive(), host: z.string(), token: z.string() });
type Holder = z.infer<typeof holderSchema>;

/** What was found under the lock's name; a holder of null wrote something that is not ours. */
type Found = { readonly text: string; readonly holder: Holder | null; readonly touchedAt: number };

const CLAIM_CHARS = 16;
/** `pid (name) state ...` of a process that is dead and waits for its parent; the name may hold anything. */
const ZOMBIE = /\) [ZX] [^)]*$/;

export type DataDirLock = { readonly release: () => Promise<void> };

/** Tokens of the locks that this process holds or asks for: in a container, a process that died had the same pid as its successor has. */
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

type Asker = { readonly draft: string; readonly pid: number; readonly now: number };

async function take({ file, pid }: { readonly file: string; readonly pid: number }): Promise<DataDirLock> {
  const token = randomBytes(16).toString('hex');
  const draft = `${file}.${token}`;
  const text = JSON.stringify({ pid, host: hostname(), token } satisfies Holder);
  const handle = await open(draft, 'wx', 0o600);
  heldHere.add(token);
  try {
    await handle.write(text, 0);
    const { mtimeMs: now } = await handle.stat();
    if (await acquire({ file, asker: { draft, pid, now } })) return hold({ file, text, token, handle });
    throw new PerennialError('data_dir_in_use', { field: 'DATA_DIR' });
  } catch (error) {
    heldHere.delete(token);
    await handle.close();
    throw error;
  } finally {
    await unlink(draft);
  }
}

/** A lock comes into being with its content, by linking a finished draft: nobody ever reads half of it. */
async function acquire({ file, asker }: { readonly file: string; readonly asker: Asker }): Promise<boolean> {
  for (let tries = 0; tries < limits.lockTries; tries += 1) {
    if (await done(link(asker.draft, file), 'EEXIST')) return true;
    const found = await look(file);
    if (found === null) continue;
    if ((await isHeld({ found, asker })) || !(await removeStale({ file, found, asker }))) return false;
  }
  return false;
}

/**
 * Removes a stale lock, unless another asker is about to. Only who holds the claim named after a lock's content may remove that lock, so nobody
 * removes the live one that came into its place. A claim is a lock like any other: one that a crash left behind is stale too.
 */
async function removeStale({
  file,
  found,
  asker,
}: {
  readonly file: string;
  readonly found: Found;
  readonly asker: Asker;
}): Promise<boolean> {
  const claim = `${file}.${createHash('sha256').update(found.text).digest('hex').slice(0, CLAIM_CHARS)}`;
  if (!(await acquire({ file: claim, asker }))) return false;
  try {
    const still = await look(file);
    if (still?.text === found.text && !(await isHeld({ found: still, asker }))) await unlink(file);
    return true;
  } finally {
    await unlink(claim);
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

async function isHeld({
  found: { holder, touchedAt },
  asker: { pid, now },
}: {
  readonly found: Found;
  readonly asker: Asker;
}): Promise<boolean> {
  if (holder === null || holder.host !== hostname()) {
    return now - touchedAt < limits.lockTouchEveryMs * limits.lockTouchesMissed;
  }
  return holder.pid === pid ? heldHere.has(holder.token) : isRunning(holder.pid);
}

async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
  // Killed but not yet buried by its parent: in a container without an init that can take forever. Elsewhere than on Linux there is no such file.
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return !ZOMBIE.test(status);
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
