import type { Clock } from '../../core/ports/clock.ts';
import type { Source, Sources } from '../../core/ports/upstream.ts';
import { createFlexpaSource } from './flexpa.ts';
import { createHttp, type Http } from './http.ts';
import { createSmartSource } from './smart.ts';
import type { SourcesConfig } from './source-config.ts';

/** All configured registrations over two HTTP agents: one for tokens, one for pages. */
export function createSources({ config, clock }: { readonly config: SourcesConfig; readonly clock: Clock }): Sources {
  // Apart, so that page downloads which fill their connections never keep a token request waiting past its deadline.
  const tokens = createHttp({ reuseConnections: false });
  const pages = createHttp({ reuseConnections: true });
  const sources = new Map(
    Object.entries(config).map(([name, source]) => [name, sourceOf({ name, source, http: { tokens, pages }, clock })]),
  );
  return {
    get: (name) => sources.get(name),
    names: () => [...sources.keys()],
    close: async () => {
      await Promise.all([tokens.close(), pages.close()]);
    },
  };
}

function sourceOf({
  name,
  source,
  http,
  clock,
}: {
  readonly name: string;
  readonly source: SourcesConfig[string];
  readonly http: { readonly tokens: Http; readonly pages: Http };
  readonly clock: Clock;
}): Source {
  return source.kind === 'flexpa'
    ? createFlexpaSource({ name, config: source, http, clock })
    : createSmartSource({ name, config: source, http, clock });
}
