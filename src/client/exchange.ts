import { Agent, type Dispatcher, request as send } from 'undici';
import type { z } from 'zod';
import { errorSchema } from '../contract/wire.ts';
import { ERRORS, type ErrorCode, PerennialError } from '../core/errors.ts';
import { LIMITS, UNITS } from '../core/limits.ts';
import { Secret } from '../core/secret.ts';
import { PerennialUnreachable } from './unreachable.ts';

const limits = {
  connectTimeoutMs: 2_000,
  /** Accepting writes to a database; that takes milliseconds, a failover some seconds. */
  answerTimeoutMs: 10_000,
  /** The whole call, from its first byte to the last one of the answer. */
  callTimeoutMs: 15_000,
  /** Between two chunks of a long answer, whose whole takes as long as it takes. */
  chunkTimeoutMs: 60_000,
  /** A page of LIMITS.listPageMax authorizations is half a MB. */
  answerMaxBytes: 8 * 1_024 * 1_024,
  fieldMaxChars: 200,
} as const;

export type Call = {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly accept?: string;
  readonly body?: unknown;
  readonly timeoutMs?: number;
};
type Answer = { readonly status: number; readonly body: unknown };
type Whole = { readonly status: number; readonly text: string; readonly retryAfter: string | undefined };
type Long = {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly chunks: AsyncIterable<Uint8Array>;
};
type Sending = { readonly base: string; readonly key: Secret; readonly agent: Agent };

/** Requests to one Perennial. Each rejects with a PerennialError by the API's code, or PerennialUnreachable. */
export type Exchange = {
  readonly call: (wanted: Call) => Promise<Answer>;
  /** Asks for an answer that is taken as it comes, however long it is. */
  readonly open: (wanted: { readonly path: string; readonly accept: string }) => Promise<Long>;
  readonly close: () => Promise<void>;
};

/**
 * Redirects are not followed: the key goes to the configured address and nowhere else.
 * @throws PerennialError `config_invalid` naming `url` or `apiKey`.
 */
export function createExchange({ url, apiKey }: { readonly url: string; readonly apiKey: string }): Exchange {
  const base = baseOf(url);
  const key = keyOf(apiKey);
  const connect = { timeout: limits.connectTimeoutMs };
  const timeouts = { connect, headersTimeout: limits.answerTimeoutMs } as const;
  const agent = new Agent({
    ...timeouts,
    bodyTimeout: limits.answerTimeoutMs,
    maxResponseSize: limits.answerMaxBytes,
  });
  const longAgent = new Agent({ ...timeouts, bodyTimeout: limits.chunkTimeoutMs });
  return {
    call: async (wanted) => {
      const signal = AbortSignal.timeout(wanted.timeoutMs ?? limits.callTimeoutMs);
      return judge(await wholeOf(await exchange({ wanted, base, key, agent, signal })));
    },
    open: async (asked) => {
      const wanted = { method: 'GET', ...asked } as const;
      const response = await exchange({ wanted, base, key, agent: longAgent, signal: null });
      if (response.statusCode !== 200) {
        judge(await wholeOf(response));
        throw new PerennialError('internal', { field: 'an answer that is not of this version' });
      }
      return { headers: textsOf(response.headers), chunks: chunksOf(response.body) };
    },
    close: async () => {
      await Promise.all([agent.destroy(), longAgent.destroy()]);
    },
  };
}

function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const fits = parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.username === '' && parsed.search === '';
  if (!fits) throw new PerennialError('config_invalid', { field: 'url must be http(s)://host[:port][/path]' });
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`;
}

function keyOf(apiKey: string): Secret {
  if (!/^[\x21-\x7e]{1,512}$/.test(apiKey)) {
    throw new PerennialError('config_invalid', { field: 'apiKey must be printable characters without spaces' });
  }
  return new Secret(apiKey);
}

async function exchange({
  wanted: { method, path, accept = 'application/json', body, timeoutMs },
  base,
  key,
  agent,
  signal,
}: Sending & { readonly wanted: Call; readonly signal: AbortSignal | null }): Promise<Dispatcher.ResponseData> {
  try {
    return await send(`${base}${path}`, {
      method,
      dispatcher: agent,
      signal,
      headersTimeout: timeoutMs ?? limits.answerTimeoutMs,
      headers: {
        authorization: `Bearer ${key.reveal()}`,
        accept,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch {
    // undici's errors carry the request's options, the key among them.
    throw new PerennialUnreachable();
  }
}

async function wholeOf({ statusCode: status, headers, body }: Dispatcher.ResponseData): Promise<Whole> {
  try {
    const after = headers['retry-after'];
    return { status, text: await body.text(), retryAfter: typeof after === 'string' ? after : undefined };
  } catch {
    throw new PerennialUnreachable();
  }
}

async function* chunksOf(body: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) if (chunk instanceof Uint8Array) yield chunk;
  } catch {
    throw new PerennialUnreachable();
  }
}

function textsOf(headers: Dispatcher.ResponseData['headers']): Readonly<Record<string, string | undefined>> {
  const texts = Object.entries(headers).filter((pair): pair is [string, string] => typeof pair[1] === 'string');
  return Object.fromEntries(texts);
}

function judge({ status, text, retryAfter }: Whole): Answer {
  const body = jsonOf(text);
  if (status >= 200 && status < 300) return { status, body };
  const told = errorSchema.safeParse(body);
  if (!told.success || !isErrorCode(told.data.error.code)) throw new PerennialError('internal');
  const { code, field } = told.data.error;
  const seconds = retryAfter === undefined ? Number.NaN : Number(retryAfter);
  throw new PerennialError(code, {
    ...(field === undefined ? {} : { field: field.slice(0, limits.fieldMaxChars) }),
    ...(seconds >= 0 ? { retryAfterMs: Math.min(seconds * UNITS.SECOND_MS, LIMITS.retryAfterMaxMs) } : {}),
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Checks an answer's body. @throws PerennialError `internal` for one that is not of this version. */
export function read<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw new PerennialError('internal', { field: 'an answer that is not of this version' });
  return parsed.data;
}

/** Whether a string from outside is a code of the catalogue. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}
