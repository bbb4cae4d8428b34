import { expect, test } from 'vitest';
import type { AuthorizationRequest } from '../../../src/contract/wire.ts';
import { until } from '../../support/system-until.ts';
import { HOUR_MS, requestOf } from '../../support/world.ts';
import type { Stage } from '../system.contract.ts';

const ACCEPTS_AT_ONCE = 20;

/** Idempotent on the caller's id, and nothing half-accepted. */
export function acceptsOnce(stage: () => Stage): void {
  test(`${ACCEPTS_AT_ONCE} accepts of one request at once make one authorization, created once`, async () => {
    const { system, world } = stage();
    const link = await world.link({});
    const request = requestOf(link, { id: 'accept-storm' });
    const answers = await Promise.all(
      Array.from({ length: ACCEPTS_AT_ONCE }, () => system.service.accept({ request, actor: 'test' })),
    );
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    await system.reaches(request.id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    expect(await system.service.accept({ request, actor: 'test' })).toMatchObject({ created: false });
    await until(
      'one repeating job',
      () => system.jobsOf(request.id),
      (jobs) => jobs.length === 1,
    );
    expect(await world.row(link.authorizationId)).toMatchObject({ exchanges: 1 });
    const audit = await system.context.store.auditOf(request.id);
    expect(audit.filter(({ action }) => action === 'accepted').map(({ actor }) => actor)).toEqual(['test']);
  });

  test('another content under the same id is a conflict, and leaves the first as it was', async () => {
    const { system, world } = stage();
    const link = await world.link({});
    const id = 'accept-conflict';
    const request = requestOf(link, { id });
    await system.accept(request);
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    const tokens = await system.context.store.tokens(id);
    const others: readonly Partial<AuthorizationRequest>[] = [
      { publicToken: 'another-token' },
      { usage: 'ONE_TIME' },
      { network: 'CMS_9115' },
      { cadence: { pullEverySeconds: 7_200 } },
      { endpoint: { id: 'another-endpoint' } },
    ];
    for (const other of others) {
      await expect(
        system.service.accept({ request: { ...request, ...other }, actor: 'test' }),
        JSON.stringify(Object.keys(other)),
      ).rejects.toMatchObject({ code: 'authorization_conflict', field: 'id' });
    }
    expect(await system.context.store.tokens(id)).toEqual(tokens);
    expect(await system.status(id)).toMatchObject({ state: 'active', usage: 'MULTIPLE', periodSeconds: 6 * 3_600 });
  });

  test('the same request written in another order of fields is no conflict', async () => {
    const { system, world } = stage();
    const link = await world.link({ exchanged: true });
    const request = requestOf(link, { id: 'accept-reordered' });
    await system.accept(request);
    const {
      id,
      usage,
      endpoint: { id: endpointId, ...endpoint },
      ...rest
    } = request;
    const reordered = { ...rest, endpoint: { ...endpoint, id: endpointId }, usage, id };
    expect(await system.service.accept({ request: reordered, actor: 'test' })).toMatchObject({ created: false });
  });

  test('what is refused leaves no authorization, no key and no job behind', async () => {
    const { system, world } = stage();
    const link = await world.link({ exchanged: true });
    const past = new Date(world.clock.now() - 2 * HOUR_MS).toISOString();
    const future = new Date(world.clock.now() + 24 * HOUR_MS).toISOString();
    const refused = [
      ['token_expired', requestOf(link, { id: 'refused-expired', expiresIn: 3_600, issuedAt: past })],
      ['token_expired', requestOf(link, { id: 'refused-zero', expiresIn: 0 })],
      ['invalid_request', requestOf(link, { id: 'refused-future', issuedAt: future })],
      ['unknown_source', requestOf(link, { id: 'refused-source', source: 'nobody' })],
    ] as const;
    for (const [code, request] of refused) {
      const { id } = request;
      await expect(system.service.accept({ request, actor: 'test' }), id).rejects.toMatchObject({ code });
      await expect(system.status(id)).rejects.toMatchObject({ code: 'authorization_not_found' });
      expect(await system.context.vault.has(id), id).toBe(false);
      expect(await system.context.store.tokens(id)).toBeNull();
      expect(await system.jobsOf(id)).toEqual([]);
      expect(await system.context.queue.isScheduled(id)).toBe(false);
    }
    expect((await world.row(link.authorizationId)).fhirRequests).toBe(0);
  });

  test('a token whose life nobody tells is looked up at the source, and refused when it has ended there', async () => {
    const { system, world } = stage();
    const alive = await world.link({ exchanged: true });
    const dead = await world.link({ exchanged: true });
    await world.revoke(dead.authorizationId);
    const { expiresIn: _, ...untold } = requestOf(alive, { id: 'untold-alive' });
    await system.accept(untold);
    const tokens = await system.context.store.tokens('untold-alive');
    expect(tokens?.accessLifetimeMs).toBeGreaterThan(23 * HOUR_MS);
    const { expiresIn: __, ...untoldDead } = requestOf(dead, { id: 'untold-dead' });
    await expect(system.service.accept({ request: untoldDead, actor: 'test' })).rejects.toMatchObject({
      code: 'token_expired',
    });
    expect(await system.context.vault.has('untold-dead')).toBe(false);
  });
}
