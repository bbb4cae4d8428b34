/**
 * Takes the README's picture of the dashboard: runs the demo, opens its dashboard in Chromium (Debian's package, or CHROMIUM's path) and
 * saves what an on-call engineer would see. `npm run screenshot`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const VIEWPORT = { width: 1_280, height: 760 };

async function dashboardOf(lines: AsyncIterable<string>): Promise<{ url: string; username: string; password: string }> {
  for await (const line of lines) {
    const [, url, username, password] = /Dashboard: (\S+) \((\S+) \/ ([^)]+)\)/.exec(line) ?? [];
    if (url !== undefined && username !== undefined && password !== undefined) return { url, username, password };
  }
  throw new Error('the demo ended without a dashboard');
}

const demo = spawn(process.execPath, [path('../src/main.ts'), 'demo', '--keep'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  const { url, username, password } = await dashboardOf(createInterface({ input: demo.stdout }));
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  const page = await browser.newPage({ viewport: VIEWPORT, httpCredentials: { username, password } });
  for (const [place, file] of [
    ['', 'dashboard.png'],
    ['/queue/refresh-and-pull?status=delayed', 'dashboard-queue.png'],
  ] as const) {
    await page.goto(`${url}${place}`, { waitUntil: 'networkidle' });
    await page.screenshot({ path: path(file) });
  }
  await browser.close();
} finally {
  const ended = once(demo, 'exit');
  demo.kill('SIGINT');
  await ended;
}
