import { createPages, type PageLimits } from '../../src/adapters/upstream/pages.ts';
import { PerennialError } from '../../src/core/errors.ts';
import type { PageStream } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';
import { type WholePage, wholePage } from '../support/whole-page.ts';
import { clockAt, openHttp } from './raw-server.ts';

export const ACCESS = new Secret('canary-access-7f3a');

/** Limits in which a test can wait. */
export const SHORT: PageLimits = {
  maxBytes: 1_000_000,
  headersTimeoutMs: 5_000,
  bodyIdleTimeoutMs: 5_000,
  deadlineMs: 10_000,
};

export type Pages = {
  readonly stream: (url: string, signal?: AbortSignal) => Promise<PageStream>;
  readonly whole: (url: string) => Promise<WholePage>;
};

/** Pages over an agent that is closed after the test. Without limits, those of production hold. */
export function pagesWith(limits?: Partial<PageLimits>): Pages {
  const pages = createPages({
    http: openHttp(),
    clock: clockAt(() => 0),
    ...(limits === undefined ? {} : { limits: { ...SHORT, ...limits } }),
  });
  const never = new AbortController().signal;
  return {
    stream: (url, signal = never) => pages.streamPage({ url, accessToken: ACCESS, signal }),
    whole: (url) => wholePage(pages, { url, accessToken: ACCESS, signal: never }),
  };
}

/** The stream of a page, where there is one. */
export function opened(page: PageStream): Extract<PageStream, { readonly kind: 'page' }> {
  if (page.kind !== 'page') throw new Error(JSON.stringify(page));
  return page;
}

export type Read = {
  readonly bytes: Buffer;
  readonly failure: { readonly code: string; readonly field?: string } | null;
};

/** Reads to the end, whichever it is. */
export async function readAll(page: PageStream): Promise<Read> {
  const parts: Uint8Array[] = [];
  let failure: Read['failure'] = null;
  try {
    for await (const chunk of opened(page).chunks) parts.push(chunk);
  } catch (error) {
    if (!(error instanceof PerennialError) || error.cause !== undefined) throw error;
    failure = { code: error.code, ...(error.field === undefined ? {} : { field: error.field }) };
  }
  return { bytes: Buffer.concat(parts), failure };
}
