import { PerennialError } from '../../src/core/errors.ts';
import type { PageRefused, Source } from '../../src/core/ports/upstream.ts';

export type WholePage = { readonly kind: 'page'; readonly bytes: Uint8Array } | PageRefused;

const REASONS = {
  upstream_cut_short: 'cut_short',
  upstream_timeout: 'timeout',
  upstream_too_large: 'too_large',
  cancelled: 'cancelled',
} as const;

/** A page read to its end, or why there is none. */
export async function wholePage(
  source: Pick<Source, 'streamPage'>,
  request: Parameters<Source['streamPage']>[0],
): Promise<WholePage> {
  const page = await source.streamPage(request);
  if (page.kind !== 'page') return page;
  const parts: Uint8Array[] = [];
  try {
    for await (const chunk of page.chunks) parts.push(chunk);
  } catch (error) {
    const reason = error instanceof PerennialError ? new Map(Object.entries(REASONS)).get(error.code) : undefined;
    if (reason === undefined) throw error;
    return { kind: 'unavailable', reason };
  }
  return { kind: 'page', bytes: Buffer.concat(parts) };
}
