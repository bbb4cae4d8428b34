import { expect, test } from 'vitest';
import { PerennialError } from '../../src/core/errors.ts';
import { framesOf } from '../../src/flows/work.ts';

test('frames say files and lines of an unforeseen error', () => {
  const error = new TypeError('x');
  error.stack = [
    'TypeError: x',
    '    at readPage (file:///opt/app/src/flows/pull.ts:12:7)',
    '    at async Object.run (file:///opt/app/jobs/job.ts:3:1)',
    '    at /opt/app/node_modules/pg/lib/client.js:5:9',
    '    at process.processTicksAndRejections (node:internal/process/task_queues:103:5)',
    '    at fifth (file:///opt/app/src/main.ts:1:1)',
  ].join('\n');
  expect(framesOf(error)).toBe(
    'src/flows/pull.ts:12:7 < jobs/job.ts:3:1 < node_modules/pg/lib/client.js:5:9 < node:internal/process/task_queues:103:5',
  );
  expect(framesOf(new Error('here'))).toMatch(/^(src|node_modules|node:)|^$/);
});

test('frames hold nothing of a message, a cause or a name, whatever lines these are made of', () => {
  const canary = 'canary\n    at Patient Canary\n at canary (file:///opt/src/canary.ts:1:1)\n\tat data:canary:1:1';
  const error = new Error(canary, { cause: new Error(canary) });
  error.name = 'canary';
  const renamed = new Error(canary);
  renamed.message = 'changed later';
  renamed.stack = `Error: x\n    at Patient Canary (born 1960)\n    at canary@example.org\n    at eval (data:text/javascript,canary:1:1)`;
  const aggregate = new AggregateError([new Error(canary)], canary);
  for (const one of [error, renamed, aggregate]) expect(framesOf(one)).not.toContain('anary');
  // Control: the message is in the stack that frames are read from.
  expect(error.stack).toContain('at Patient Canary');
});

test('frames of what is no unforeseen error are none', () => {
  for (const thrown of [undefined, null, 'canary', { stack: 'at canary' }, new PerennialError('internal')])
    expect(framesOf(thrown)).toBe('');
});
