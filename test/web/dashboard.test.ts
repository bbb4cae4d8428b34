import { get } from 'node:http';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DashboardOptions } from '../../src/adapters/web/dashboard.ts';
import { scrub, shownData } from '../../src/adapters/web/dashboard-scrub.ts';
import { PerennialError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { dropPrefix, findRedis, randomPrefix, sayWhenRedisIsMissing } from '../support/real-redis.ts';
import { startWeb, type TestWeb } from '../support/web.ts';

const PASSWORD = 'canary-dashboard-password';
const BASIC = { kind: 'basic', user: 'oncall', password: new Secret(PASSWORD) } as const;
const login = { authorization: `Basic ${Buffer.from(`oncall:${PASSWORD}`).toString('base64')}` };

let web: TestWeb | null = null;
afterEach(async () => {
  await web?.close();
  web = null;
});

async function open(dashboard: Partial<DashboardOptions>): Promise<string> {
  web = await startWeb({ dashboard: { queues: [], auth: BASIC, writable: false, ...dashboard } });
  return `${web.url}/dashboard`;
}

/** fetch does not let a Host header be set; a page that rebinds its name to 127.0.0.1 sends its own. */
function statusUnderHost(url: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on('error', reject);
  });
}

describe('who may see the dashboard', () => {
  test('without credentials, or with wrong ones, everything under it answers 401', async () => {
    const url = await open({});
    for (const path of ['', '/', '/api/queues', '/static/images/logo.svg', '/queue/intake']) {
      const answer = await fetch(`${url}${path}`);
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
        401,
        'Basic realm="Perennial", charset="UTF-8"',
      ]);
    }
    const wrong = Buffer.from('oncall:canary-wrong').toString('base64');
    expect((await fetch(`${url}/`, { headers: { authorization: `Basic ${wrong}` } })).status).toBe(401);
    expect(JSON.stringify(web?.lines)).not.toContain('canary');
  });

  test('with credentials the page is there, is called Perennial and loads nothing from elsewhere', async () => {
    const url = await open({});
    const page = await fetch(`${url}/`, { headers: login });
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(await page.text()).toContain('<title>Perennial</title>');
    expect((await fetch(`${url}/static/images/logo.svg`, { headers: login })).status).toBe(200);
  });

  test('behind a proxy, only requests that carry its header come in', async () => {
    const url = await open({ auth: { kind: 'proxy', header: 'X-Auth-User', value: 'canary-shared' } });
    expect((await fetch(`${url}/`)).status).toBe(401);
    expect((await fetch(`${url}/`, { headers: { 'x-auth-user': 'other' } })).status).toBe(401);
    expect((await fetch(`${url}/`, { headers: { 'x-auth-user': 'canary-shared' } })).status).toBe(200);
  });

  test('unprotected it is refused on an address that others reach, and on loopback answers to loopback names only', async () => {
    const dashboard = { queues: [], auth: { kind: 'none' }, writable: false } as const;
    for (const host of ['0.0.0.0', '::', '10.1.2.3', 'perennial.example']) {
      await expect(startWeb({ dashboard, host })).rejects.toMatchObject({
        code: 'config_invalid',
        field: expect.stringContaining('DASHBOARD_USER'),
      });
    }
    const url = await open({ auth: { kind: 'none' } });
    expect((await fetch(`${url}/`)).status).toBe(200);
    expect(await statusUnderHost(`${url}/`, 'rebound.evil.example')).toBe(401);
  });
});

describe('what the dashboard hides', () => {
  test('job data shows ids and nothing else', () => {
    expect(
      shownData({ authorizationId: 'a-1', service: 's', sealed: 'eyJ', patient: 'x', reason: { deep: 1 } }),
    ).toEqual({
      authorizationId: 'a-1',
      service: 's',
      sealed: '[sealed]',
      patient: '[hidden]',
      reason: '[hidden]',
    });
  });

  test('failure reasons are codes, traces and logs are gone, templates are treated as data', () => {
    const hidden = scrub({
      queues: [{ jobs: [{ failedReason: 'canary text', stacktrace: ['canary'] }, { failedReason: 'token_rejected' }] }],
      logs: ['canary'],
      schedulers: [{ template: { data: { authorizationId: 'a-1', canary: 'canary' }, opts: { attempts: 1 } } }],
    });
    expect(hidden).toEqual({
      queues: [{ jobs: [{ failedReason: 'internal', stacktrace: [] }, { failedReason: 'token_rejected' }] }],
      logs: [],
      schedulers: [{ template: { data: { authorizationId: 'a-1', canary: '[hidden]' }, opts: { attempts: 1 } } }],
    });
  });
});

const redis = await findRedis();
sayWhenRedisIsMissing(redis.answers);
describe.runIf(redis.answers)('the dashboard on real queues', () => {
  const prefix = randomPrefix();
  let connection: Redis;
  let queues: Queue[] = [];
  beforeAll(async () => {
    connection = new Redis(redis.url, { maxRetriesPerRequest: null });
    queues = ['intake', 'refresh-and-pull'].map((name) => new Queue(name, { connection, prefix }));
    await queues[0]?.add(
      'accept',
      { authorizationId: 'a-1', service: 'portal', sealed: 'canary-jwe' },
      { jobId: 'j-1' },
    );
    await queues[1]?.upsertJobScheduler('a-1', { every: 60_000 }, { name: 'run', data: { authorizationId: 'a-1' } });
  });
  afterAll(async () => {
    for (const queue of queues) await queue.close();
    connection.disconnect();
    await dropPrefix(redis.url, prefix);
  });
  const put = (url: string, headers: Record<string, string> = {}) =>
    fetch(url, { method: 'PUT', headers: { ...login, 'content-type': 'application/json', ...headers }, body: '{}' });

  test('queues come with what they do; jobs with ids, the sealed request hidden', async () => {
    const url = await open({ queues });
    const list = await (await fetch(`${url}/api/queues?activeQueue=intake`, { headers: login })).text();
    expect(list).toContain('Requests other services enqueued');
    expect(list).toContain('refreshes its tokens, pulls its records');
    expect(list).toContain('"sealed":"[sealed]"');
    const job = await fetch(`${url}/api/queues/intake/j-1`, { headers: login });
    expect([job.status, await job.text()]).toEqual([200, expect.stringContaining('"authorizationId":"a-1"')]);
    expect(list).not.toContain('canary');
    const schedulers = await fetch(`${url}/api/job-schedulers`, { headers: login });
    expect([schedulers.status, await schedulers.text()]).toEqual([200, expect.stringContaining('"a-1"')]);
  });

  test('read-only refuses every change, whatever was forged: obliterate, pause, add, edit', async () => {
    const url = await open({ queues });
    const answers = [
      await put(`${url}/api/queues/intake/obliterate`),
      await put(`${url}/api/queues/pause`),
      await put(`${url}/api/queues/intake/j-1/clean`),
      await fetch(`${url}/api/queues/intake/add`, { method: 'POST', headers: login }),
      await fetch(`${url}/api/queues/intake/j-1/update-data`, { method: 'PATCH', headers: login }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
    expect(await queues[0]?.getJob('j-1')).toBeDefined();
    expect(await queues[0]?.isPaused()).toBe(false);
  });

  test('writable, it takes changes from its own page and refuses those that another site makes a browser send', async () => {
    const url = await open({ queues, writable: true });
    const origin = new URL(url).origin;
    const forged = [
      await put(`${url}/api/queues/intake/pause`, { origin: 'https://evil.example' }),
      await put(`${url}/api/queues/intake/pause`, { origin: 'null' }),
      await put(`${url}/api/queues/intake/pause`, { 'sec-fetch-site': 'cross-site', origin }),
    ];
    expect(forged.map(({ status }) => status)).toEqual([403, 403, 403]);
    expect(await queues[0]?.isPaused()).toBe(false);
    expect((await put(`${url}/api/queues/intake/pause`, { origin })).status).toBe(200);
    expect(await queues[0]?.isPaused()).toBe(true);
    expect((await put(`${url}/api/queues/intake/resume`, { origin })).status).toBe(200);
    expect(web?.service.kept.operations).toEqual([
      'operator:oncall PUT /dashboard/api/queues/intake/pause',
      'operator:oncall PUT /dashboard/api/queues/intake/resume',
    ]);
  });

  test('what cannot be written down is not done', async () => {
    const url = await open({ queues, writable: true });
    const { service } = web ?? {};
    if (service === undefined) throw new Error('no web');
    service.failure = new PerennialError('database_unreachable');
    expect((await put(`${url}/api/queues/intake/pause`, { origin: new URL(url).origin })).status).toBe(503);
    expect(await queues[0]?.isPaused()).toBe(false);
  });

  test('above 5,000 schedulers the unpaged list is refused with a hint, while the rest still works', async () => {
    const full = queues[1];
    if (full === undefined) throw new Error('no queue');
    const count = full.getJobSchedulersCount.bind(full);
    full.getJobSchedulersCount = async () => 5_001;
    const url = await open({ queues });
    const answer = await fetch(`${url}/api/job-schedulers`, { headers: login });
    expect([answer.status, await answer.text()]).toEqual([409, expect.stringContaining('perennial list')]);
    expect((await fetch(`${url}/api/queues`, { headers: login })).status).toBe(200);
    full.getJobSchedulersCount = count;
  });
});
