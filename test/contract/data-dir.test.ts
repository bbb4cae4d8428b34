import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { lockDataDir } from '../../src/adapters/store/lock.ts';
import { temporaryFolder } from '../support/databases.ts';

const { pid } = process;
const POLL_EVERY_MS = 10;
const POLLS_MAX = 500;
const LONG_AGO = new Date(1_000_000_000_000);
const IN_USE = { code: 'data_dir_in_use' };

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let dataDir: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  dataDir = join(folder.path, 'data');
});
afterEach(() => folder.remove());

describe('the lock of a DATA_DIR', () => {
  test('makes the directory for this user only, keeps a second out, and leaves nothing when released', async () => {
    const lock = await lockDataDir({ dataDir, pid });
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
    await expect(lockDataDir({ dataDir, pid })).rejects.toMatchObject(IN_USE);
    expect(await readdir(dataDir)).toStrictEqual(['lock']);
    await lock.release();
    await lock.release();
    expect(await readdir(dataDir)).toStrictEqual([]);
    await (await lockDataDir({ dataDir, pid })).release();
  });

  test('of 20 who ask at once one gets it, also when a stale lock lies there', async () => {
    for (let round = 0; round < 20; round += 1) {
      if (round > 0) await leave({ pid: await deadPid(), host: hostname() });
      const asked = await Promise.allSettled(Array.from({ length: 20 }, () => lockDataDir({ dataDir, pid })));
      const got = asked.filter((result) => result.status === 'fulfilled');
      expect(got).toHaveLength(1);
      expect(await readdir(dataDir)).toStrictEqual(['lock']);
      await got[0]?.value.release();
    }
  });

  test('of a live process of this host is respected, however long ago it was touched', async () => {
    await makeDataDir();
    const text = await leave({ pid: process.ppid, host: hostname() });
    await utimes(join(dataDir, 'lock'), LONG_AGO, LONG_AGO);
    await expect(lockDataDir({ dataDir, pid })).rejects.toMatchObject(IN_USE);
    expect(await readFile(join(dataDir, 'lock'), 'utf8')).toBe(text);
  });

  test('of a dead process, or of a former one with our own pid, is taken over', async () => {
    await makeDataDir();
    for (const former of [await deadPid(), pid]) {
      await leave({ pid: former, host: hostname() });
      const lock = await lockDataDir({ dataDir, pid });
      await lock.release();
    }
  });

  test('of a dead process is taken over even if the one who was about to died over it', async () => {
    await makeDataDir();
    const former = await deadPid();
    const text = await leave({ pid: former, host: hostname() });
    const claim = createHash('sha256').update(text).digest('hex').slice(0, 16);
    await writeFile(join(dataDir, `lock.${claim}`), JSON.stringify({ pid: former, host: hostname(), token: 'claim' }));
    const lock = await lockDataDir({ dataDir, pid });
    expect(await readdir(dataDir)).toStrictEqual(['lock']);
    await lock.release();
  });

  test.skipIf(process.platform !== 'linux')('of a killed process that nobody has buried is taken over', async () => {
    await makeDataDir();
    const parent = spawn('sh', ['-c', 'sleep 1 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
    onTestFinished(() => void parent.kill());
    const [line] = await once(parent.stdout, 'data');
    const zombie = Number(String(line));
    await untilZombie(zombie);
    await leave({ pid: zombie, host: hostname() });
    await (await lockDataDir({ dataDir, pid })).release();
  });

  test('of another host is respected while it is touched, and taken over when it was not for long', async () => {
    await makeDataDir();
    await leave({ pid: 1, host: 'a-container-of-old' });
    await expect(lockDataDir({ dataDir, pid })).rejects.toMatchObject(IN_USE);
    await utimes(join(dataDir, 'lock'), LONG_AGO, LONG_AGO);
    await (await lockDataDir({ dataDir, pid })).release();
  });
});

async function makeDataDir(): Promise<void> {
  await (await lockDataDir({ dataDir, pid })).release();
}

async function leave(holder: { readonly pid: number; readonly host: string }): Promise<string> {
  const text = JSON.stringify({ ...holder, token: 'left-behind' });
  await writeFile(join(dataDir, 'lock'), text);
  return text;
}

async function untilZombie(zombie: number): Promise<void> {
  for (let polls = 0; polls < POLLS_MAX; polls += 1) {
    if ((await readFile(`/proc/${zombie}/stat`, 'utf8')).includes(') Z ')) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
  }
  throw new Error('the process did not end');
}

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await new Promise((resolve) => child.once('exit', resolve));
  if (child.pid === undefined) throw new Error('no process was started');
  return child.pid;
}
