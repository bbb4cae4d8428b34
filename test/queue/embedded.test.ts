import { openQueueBackend } from '../../src/adapters/queue/backend.ts';
import { temporaryFolder } from '../support/databases.ts';
import type { Place } from './bench.ts';
import { queueContract } from './queue.contract.ts';

queueContract('WorkQueue on the embedded database', openPlace);

async function openPlace(): Promise<Place> {
  const folder = await temporaryFolder();
  return {
    open: () => openQueueBackend({ place: { kind: 'embedded', dataDir: folder.path }, prefix: 'test' }),
    losePending: null,
    tracesOf: null,
    dispose: folder.remove,
  };
}
