import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';

/** A token endpoint that grants whatever it is asked for, as fast as a socket takes it. */
export type TokenServer = {
  readonly url: string;
  /** Requests answered so far. */
  readonly requests: () => Promise<number>;
  readonly close: () => Promise<void>;
};

const HOST = '127.0.0.1';
const startedSchema = z.object({ port: z.number() });
const countedSchema = z.object({ requests: z.number() });

/** Starts one on a thread and a free port of its own. */
export async function startTokenServer(): Promise<TokenServer> {
  const worker = new Worker(new URL('./token-server-thread.ts', import.meta.url), { workerData: HOST, execArgv: [] });
  const answer = async (): Promise<unknown> => (await once(worker, 'message'))[0];
  const { port } = startedSchema.parse(await answer());
  return {
    url: `http://${HOST}:${port}`,
    requests: async () => {
      const answered = answer();
      worker.postMessage(null);
      return countedSchema.parse(await answered).requests;
    },
    close: async () => void (await worker.terminate()),
  };
}
