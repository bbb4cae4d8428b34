import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';

/** What its thread is asked; every question is answered by the bytes on the wire so far. */
export type Question = ({ readonly kind: 'serve' } & Served) | { readonly kind: 'traffic' };

/** Pages by path and query, and the resource types that the server says it can search. */
type Served = { readonly pages: ReadonlyMap<string, Uint8Array>; readonly types: readonly string[] };

/** A FHIR server that sends pages made beforehand, uncompressed, as fast as a socket takes them. */
export type PageServer = {
  readonly url: string;
  readonly serve: (served: Served) => Promise<void>;
  /** Bytes that went over its sockets so far, both ways, headers included. */
  readonly wireBytes: () => Promise<number>;
  readonly close: () => Promise<void>;
};

const HOST = '127.0.0.1';
const startedSchema = z.object({ port: z.number() });
const trafficSchema = z.object({ wireBytes: z.number() });

/** Starts one on a thread and a free port of its own. */
export async function startPageServer(): Promise<PageServer> {
  const worker = new Worker(new URL('./page-server-thread.ts', import.meta.url), { workerData: HOST, execArgv: [] });
  const answer = async (): Promise<unknown> => (await once(worker, 'message'))[0];
  const ask = async (question: Question): Promise<number> => {
    const answered = answer();
    worker.postMessage(question);
    return trafficSchema.parse(await answered).wireBytes;
  };
  const { port } = startedSchema.parse(await answer());
  return {
    url: `http://${HOST}:${port}`,
    serve: async (served) => void (await ask({ kind: 'serve', ...served })),
    wireBytes: () => ask({ kind: 'traffic' }),
    close: async () => void (await worker.terminate()),
  };
}
