import { test } from 'vitest';
import { killLeftovers, newKey, serve, settingsOf } from '../support/processes.ts';
import { embeddedPlace } from '../support/system-places.ts';
import { requestOf, SECOND_MS, startWorld } from '../support/world.ts';

test('x', async () => {
  const world = await startWorld({ speed: 1 });
  const place = await embeddedPlace();
  const env = settingsOf({ place, world, encryptionKeys: newKey() });
  const first = await serve({ command: 'start', env });
  const pulling = await world.link({ knobs: { slowFhirMs: SECOND_MS, everythingPageSize: 8 } });
  const exchanging = await world.link({ knobs: { tokenOutage: '503' } });
  const kept = await world.link({});
  await first.api.enqueue(requestOf(kept, { id: 'kept' }));
  await first.reaches('kept', 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
  console.log('kept', new Date().toISOString());
  await first.api.enqueue(requestOf(exchanging, { id: 'exchanging' }));
  await first.reaches('exchanging', 'failed once', ({ failedRuns }) => failedRuns > 0);
  await first.api.enqueue(requestOf(pulling, { id: 'pulling' }));
  console.log('enq', new Date().toISOString());
  await new Promise((r) => setTimeout(r, 25000));
  console.log(first.stdout(), first.stderr());
  await killLeftovers();
}, 90000);
