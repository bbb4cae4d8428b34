import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { killLeftovers, newKey, type Process, serve, settingsOf, startProcess } from '../support/processes.ts';
import { bestPlace, findServices, missingOf, type Place } from '../support/system-places.ts';
import { startWorld, type World } from '../support/world.ts';

const CANARY = 'canary5ecret';
/** An expression for it: Node prints the line that threw, and that would be a hit of our own making. */
const HIDDEN = `['canary', '5ecret'].join('')`;
const LIKE_A_FRAME = `new Error(${HIDDEN} + '\\n    at Patient ' + ${HIDDEN} + ' (file:///a/src/' + ${HIDDEN} + '.ts:1:1)', { cause: new Error(${HIDDEN}) })`;
const AN_OBJECT = `{ message: ${HIDDEN}, stack: 'at ' + ${HIDDEN}, toString: () => ${HIDDEN} }`;
/** Servers and pools close in a second or two; nothing here spends a token. */
const EXIT_CAP_MS = 15_000;

let world: World;
let place: Place;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  world = await startWorld({ speed: 1 });
  place = await bestPlace();
  env = settingsOf({ place, world, encryptionKeys: newKey() });
});

afterAll(async () => {
  await killLeftovers();
  await world.close();
  await place.close();
});

/** The environment with some code of the test's that runs before ours. */
const preloaded = (script: string) => ({
  ...env,
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}`,
});
/** Throws as soon as somebody listens, which is before anything is opened. */
const atStart = (doIt: string) => `
  const timer = setInterval(() => {
    if (process.listenerCount('uncaughtException') === 0) return;
    clearInterval(timer);
    ${doIt}
  }, 1);`;
const printed = (child: Process) => `${child.stdout()}${child.stderr()}`;

/** Processes on an embedded database cannot share it. */
const mayShare = missingOf(await findServices()) === '';

describe('an error that nobody caught', { concurrent: mayShare }, () => {
  test.each([
    ['thrown with health data in its message, stack and cause', `throw ${LIKE_A_FRAME};`],
    ['that is nothing at all', 'void Promise.reject();'],
  ])('%s, ends a process in order with 1; the log has its code and no word of it', async (_what, thrower) => {
    const child = await serve({ command: 'start', env: preloaded(`process.on('SIGUSR1', () => { ${thrower} })`) });
    const toldAt = performance.now();
    child.signal('SIGUSR1');
    expect(await child.exit).toMatchObject({ code: 1, signal: null });
    expect(performance.now() - toldAt).toBeLessThan(EXIT_CAP_MS);
    expect(child.events('uncaught').map((line) => JSON.parse(line))).toEqual([
      { level: 'error', time: expect.any(String), event: 'uncaught', code: 'internal', frames: expect.any(String) },
    ]);
    expect(child.events('stopped')).toHaveLength(1);
    expect(child.stderr()).toBe('');
    expect(printed(child)).not.toContain(CANARY);
  });

  test('while the process is closing after another ends it at once, and is told as little', async () => {
    const twice = `process.on('SIGUSR1', () => { setTimeout(() => { throw ${LIKE_A_FRAME} }, 0); throw ${LIKE_A_FRAME}; })`;
    const child = await serve({ command: 'start', env: preloaded(twice) });
    child.signal('SIGUSR1');
    expect(await child.exit).toMatchObject({ code: 1, signal: null });
    expect(child.events('uncaught')).toHaveLength(2);
    expect(printed(child)).not.toContain(CANARY);
  });

  test.each([
    ['start', ['start'], `void Promise.reject(${LIKE_A_FRAME});`],
    ['a command that reads records', ['export', 'some-id', '--out', 'nowhere'], `throw ${AN_OBJECT};`],
  ])('before %s has opened anything ends it with 1 and one constant line', async (_what, args, thrower) => {
    const more = { PERENNIAL_API_KEY: 'k', PERENNIAL_URL: world.url };
    const child = startProcess({ args, env: { ...preloaded(atStart(thrower)), ...more } });
    expect(await child.exit).toMatchObject({ code: 1, signal: null });
    expect(child.stderr()).toMatch(/^perennial: internal: [^\n]*\n$/);
    expect(printed(child)).not.toContain(CANARY);
  });

  test('control: without our last resort Node prints it all', async () => {
    const bare = atStart(
      `process.removeAllListeners('uncaughtException'); setTimeout(() => { throw ${LIKE_A_FRAME}; }, 0);`,
    );
    const child = startProcess({ args: ['start'], env: preloaded(bare) });
    await child.exit;
    expect(child.stderr()).toContain(CANARY);
  });
});
