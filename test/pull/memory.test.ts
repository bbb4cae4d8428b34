import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readFile } from '../rules/support/files.ts';
import { NO_POSTGRES, postgresForTests, type TestDatabase, temporaryFolder } from '../support/databases.ts';

/** A soak pulls the largest bundle that was seen in the field; it takes its time. */
const isSoak = process.env['PERENNIAL_SOAK'] === '1';
const { mb, grownMaxMb } = isSoak ? { mb: 300, grownMaxMb: 150 } : { mb: 100, grownMaxMb: 90 };
const CAP_MS = 300_000;

const costSchema = z.object({
  result: z.string(),
  bytes: z.number(),
  added: z.number(),
  grownMb: z.number(),
  seconds: z.number(),
});
type Cost = z.infer<typeof costSchema>;

const name = `a record of ${mb} MB`;
const postgres = await postgresForTests();

/** With which the image and `npm start` run; the image has glibc keep two arenas, too. */
const flags = [...readFile('package.json').text.matchAll(/"start": "node ((?:--\S+ )+)src/g)].flatMap(([, text = '']) =>
  text.trim().split(' '),
);

if (flags.length === 0) throw new Error('npm start names no flags any more');

/** A process of its own, whose memory is nobody else's. */
function start(file: string, args: readonly string[] = []): ChildProcess {
  return fork(new URL(`./memory/${file}`, import.meta.url), [...args], {
    execArgv: flags,
    env: { ...process.env, MALLOC_ARENA_MAX: '2' },
  });
}

async function told(child: ChildProcess): Promise<unknown> {
  const [message]: unknown[] = await once(child, 'message');
  return message;
}

if (postgres === null) {
  describe.skip(`${name} ${NO_POSTGRES}`, () => {
    test('costs little memory', () => undefined);
  });
} else {
  describe(name, () => {
    let server: ChildProcess;
    let url: string;
    let database: TestDatabase;
    let folder: Awaited<ReturnType<typeof temporaryFolder>>;

    const costOf = async (patient: string, how = 'streams'): Promise<Cost> => {
      const puller = start('puller.ts', [url, database.databaseUrl, folder.path, patient, how]);
      const exited = once(puller, 'exit');
      const cost = costSchema.parse(await told(puller));
      process.stdout.write(
        `\n${patient}, ${how}: ${cost.grownMb.toFixed(0)} MB more in ${cost.seconds.toFixed(1)} s\n`,
      );
      expect(await exited).toEqual([0, null]);
      expect(cost).toMatchObject({ result: 'complete' });
      expect(cost.bytes).toBeGreaterThanOrEqual(mb * 1e6);
      return cost;
    };

    beforeAll(async () => {
      server = start('server.ts');
      url = z.object({ url: z.string() }).parse(await told(server)).url;
      [database, folder] = await Promise.all([postgres.createDatabase(), temporaryFolder()]);
    });
    afterAll(async () => {
      server.disconnect();
      await database.drop();
      await folder.remove();
    });

    test.each(isSoak ? [1, 10] : [1])(
      `pulled and stored in %i pages costs less than ${grownMaxMb} MB of memory`,
      async (pages) => {
        const cost = await costOf(`${mb}mb-${pages}p`);
        expect(cost.added).toBeGreaterThan(mb * 500);
        expect(cost.grownMb).toBeLessThan(grownMaxMb);
      },
      CAP_MS,
    );

    test(
      'control: held until it ends, it costs what it weighs on top',
      async () => {
        const cost = await costOf(`${mb}mb-1p`, 'holds');
        expect(cost.grownMb).toBeGreaterThan(grownMaxMb);
      },
      CAP_MS,
    );
  });
}
