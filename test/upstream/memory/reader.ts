import { ANYWHERE } from '../../../src/adapters/upstream/connect.ts';
import { createHttp } from '../../../src/adapters/upstream/http.ts';
import { createPages } from '../../../src/adapters/upstream/pages.ts';
import { PerennialError } from '../../../src/core/errors.ts';
import { Secret } from '../../../src/core/secret.ts';
import { wholePage } from '../../support/whole-page.ts';
import { clockAt } from '../clock.ts';

/** Reads `url` as `how` says, by the limits of production, and tells what it cost this process. */
const [, , how = '', url = ''] = process.argv;
const http = createHttp({ reuseConnections: true, reach: ANYWHERE });
const pages = createPages({ http, clock: clockAt(() => 0) });
const { signal } = new AbortController();
const request = (at: string) => ({ url: at, accessToken: new Secret('canary'), signal });

let peak = 0;
const look = () => {
  peak = Math.max(peak, process.memoryUsage.rss());
};

async function read(how: string, at: string): Promise<{ readonly bytes: number; readonly outcome: string }> {
  if (how === 'whole') {
    const page = await wholePage(pages, request(at));
    look();
    return { bytes: page.kind === 'page' ? page.bytes.length : 0, outcome: page.kind };
  }
  const page = await pages.streamPage(request(at));
  if (page.kind !== 'page') return { bytes: 0, outcome: page.kind };
  let bytes = 0;
  let turns = 0;
  try {
    for await (const chunk of page.chunks) {
      bytes += chunk.length;
      if (turns % 16 === 0) look();
      turns += 1;
    }
    return { bytes, outcome: 'page' };
  } catch (error) {
    return { bytes, outcome: error instanceof PerennialError ? `${error.code} ${error.field}` : 'thrown' };
  }
}

// Code that runs first is compiled, and V8 lets some 64 MB of dead buffers lie before it collects any, more of a socket's than of gzip's;
// neither has to do with how long a page is. 10 GB as they are grew by up to 65 MB after a warm-up by gzip alone, by up to 37 after this one.
for (const first of ['/gzip?mb=100', '/plain?mb=500']) await read('stream', new URL(first, url).href);
const before = process.memoryUsage.rss();
peak = before;
const began = performance.now();
const { bytes, outcome } = await read(how, url);
look();
process.send?.({ bytes, outcome, grownMb: (peak - before) / 1e6, seconds: (performance.now() - began) / 1_000 });
await http.close();
process.disconnect?.();
