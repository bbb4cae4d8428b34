import { ERRORS } from '../../core/errors.ts';

const limits = {
  /** bull-board's answers are some six levels deep. */
  depthMax: 16,
} as const;

/** What a job's data may show: ids and words from closed sets. */
const SHOWN_DATA = new Set(['authorizationId', 'service', 'reason']);
/** BullMQ's own reasons for a failure; they carry no value. */
const BULLMQ_REASONS = /^job stalled more than allowable limit$/;

/** A job's data as the dashboard shows it. Everything but ids is hidden, the sealed request by name. */
export function shownData(data: unknown): unknown {
  if (typeof data !== 'object' || data === null) return data === undefined || data === null ? data : '[hidden]';
  return Object.fromEntries(
    Object.entries(data).map(([name, value]) => {
      if (name === 'sealed') return [name, '[sealed]'];
      return [name, SHOWN_DATA.has(name) && typeof value === 'string' ? value : '[hidden]'];
    }),
  );
}

/**
 * A copy of one of bull-board's answers without what its formatters leave open (peers, F-23): failure reasons that are no codes,
 * stack traces, job logs and the data of scheduler templates.
 */
export function scrub(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > limits.depthMax) return '[hidden]';
  if (Array.isArray(value)) return value.map((item) => scrub(item, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, scrubField({ name, inner, depth })]));
}

function scrubField({
  name,
  inner,
  depth,
}: {
  readonly name: string;
  readonly inner: unknown;
  readonly depth: number;
}): unknown {
  if (name === 'failedReason' || name === 'deferredFailure') return shownReason(inner);
  if (name === 'stacktrace' || name === 'logs') return [];
  if (name === 'template') return shownTemplate(inner);
  return scrub(inner, depth + 1);
}

function shownReason(reason: unknown): unknown {
  if (typeof reason !== 'string' || reason === '') return reason;
  return Object.hasOwn(ERRORS, reason) || BULLMQ_REASONS.test(reason) ? reason : 'internal';
}

function shownTemplate(template: unknown): unknown {
  if (typeof template !== 'object' || template === null) return template;
  return Object.fromEntries(
    Object.entries(template).map(([name, value]) => [name, name === 'data' ? shownData(value) : scrub(value)]),
  );
}
