import { describe, expect, test } from 'vitest';
import { createHealth } from '../../src/adapters/web/health.ts';
import { buildApp } from '../../src/adapters/web/server.ts';
import { PerennialError } from '../../src/core/errors.ts';
import { createFakeService } from '../support/fake-service.ts';
import { createLogMemory, startWeb, wallClock, webOptions } from '../support/web.ts';

type Document = {
  openapi: string;
  paths: Record<string, Record<string, { responses: Record<string, unknown>; security?: unknown[] }>>;
  components: { schemas: Record<string, unknown> };
};

describe('the OpenAPI document', () => {
  test('has every registered /v1 route, and every route it has is registered', async () => {
    const registered: string[] = [];
    const service = createFakeService();
    const app = buildApp({
      ...webOptions({ service, log: createLogMemory().log }),
      onRoute: (route) => registered.push(route),
    });
    await app.ready();
    const document: Document = (await app.inject('/v1/openapi.json')).json();
    const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
    );
    expect(documented.toSorted()).toEqual(registered.filter((route) => route.includes(' /v1/')).toSorted());
    expect(documented).toHaveLength(26);
    await app.close();
  });

  test('needs no key, is of version 3.1, says all errors, and every reference leads somewhere', async () => {
    const web = await startWeb();
    const answer = await fetch(`${web.url}/v1/openapi.json`);
    const document: Document = JSON.parse(await answer.text());
    expect([answer.status, document.openapi]).toEqual([200, '3.1.0']);
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const operation of Object.values(methods)) {
        expect(Object.keys(operation.responses)).toContain('500');
        const open = ['/v1/openapi.json', '/v1/hooks/{source}'].includes(path);
        expect(operation.security).toEqual(open ? [] : undefined);
        expect('401' in operation.responses).toBe(path !== '/v1/openapi.json');
      }
    }
    const accept = document.paths['/v1/authorizations']?.['post'];
    expect(Object.keys(accept?.responses ?? {})).toEqual(
      expect.arrayContaining(['200', '201', '400', '401', '403', '409', '413', '415', '422', '500', '503']),
    );
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g);
    for (const [, name] of references) expect(Object.keys(document.components.schemas)).toContain(name);
    await web.close();
  });
});

describe('health', () => {
  test('/healthz answers while the process lives; /metrics gives the text', async () => {
    const web = await startWeb();
    expect(await (await fetch(`${web.url}/healthz`)).json()).toEqual({ status: 'ok' });
    const metrics = await fetch(`${web.url}/metrics`);
    expect([metrics.headers.get('content-type'), await metrics.text()]).toEqual([
      'text/plain; version=0.0.4; charset=utf-8',
      'perennial_up 1\n',
    ]);
    await web.close();
  });

  test('/readyz names each dependency that is away, in time, and never why in its own words', async () => {
    const health = createHealth({
      clock: wallClock,
      probes: {
        database: async () => undefined,
        queue: async () => {
          throw new PerennialError('queue_unreachable');
        },
        keys: async () => {
          throw new Error('canary ECONNREFUSED 10.0.0.1');
        },
        slow: () => new Promise(() => {}),
      },
    });
    const web = await startWeb({ health });
    const answer = await fetch(`${web.url}/readyz`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({
      status: 'not_ready',
      dependencies: [
        { name: 'database', ok: true },
        { name: 'queue', ok: false, code: 'queue_unreachable' },
        { name: 'keys', ok: false, code: 'internal' },
        { name: 'slow', ok: false, code: 'timeout' },
      ],
    });
    await web.close();
  });

  test('/readyz answers 200 when all is there', async () => {
    const web = await startWeb();
    const answer = await fetch(`${web.url}/readyz`);
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { status: 'ready', dependencies: [{ name: 'database', ok: true }] },
    ]);
    await web.close();
  });
});

test('an address that cannot be had is a configuration error by name', async () => {
  const web = await startWeb();
  const port = Number(new URL(web.url).port);
  await expect(startWeb({ port })).rejects.toMatchObject({
    code: 'config_invalid',
    field: expect.stringMatching(/PORT/),
  });
  await web.close();
});
