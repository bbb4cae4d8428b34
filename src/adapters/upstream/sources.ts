import type { Clock } from '../../core/ports/clock.ts';
import type { Source, Sources } from '../../core/ports/upstream.ts';
import { ANYWHERE, PUBLIC, type Reach } from './connect.ts';
import { createFlexpaSource } from './flexpa.ts';
import { createHttp, type Http } from './http.ts';
import { createSmartSource } from './smart.ts';
import { isInternal, type SourcesConfig } from './source-config.ts';

/** All configured registrations over HTTP agents of their own kind: for tokens or for pages, to the public internet or to anywhere. */
export function createSources({
  config,
  clock,
  resolve = PUBLIC.resolve,
}: {
  readonly config: SourcesConfig;
  readonly clock: Clock;
  readonly resolve?: Reach['resolve'];
}): Sources {
  // Apart, so that no connection which an internal source has opened is lent to one that may not go there.
  const outside = createAgents({ ...PUBLIC, resolve });
  const inside = createAgents({ ...ANYWHERE, resolve });
  const sources = new Map(
    Object.entries(config).map(([name, source]) => {
      const { http } = isInternal(source) ? inside : outside;
      return [name, sourceOf({ name, source, http, clock })];
    }),
  );
  return {
    get: (name) => sources.get(name),
    names: () => [...sources.keys()],
    close: async () => {
      await Promise.all([outside.close(), inside.close()]);
    },
  };
}

type Agents = { readonly tokens: Http; readonly pages: Http };

function createAgents(reach: Reach): { readonly http: Agents; readonly close: () => Promise<unknown> } {
  // Apart, so that page downloads which fill their connections never keep a token request waiting past its deadline.
  const tokens = createHttp({ reuseConnections: false, reach });
  const pages = createHttp({ reuseConnections: true, reach });
  return { http: { tokens, pages }, close: () => Promise.all([tokens.close(), pages.close()]) };
}

function sourceOf({
  name,
  source,
  http,
  clock,
}: {
  readonly name: string;
  readonly source: SourcesConfig[string];
  readonly http: Agents;
  readonly clock: Clock;
}): Source {
  return source.kind === 'flexpa'
    ? createFlexpaSource({ name, config: source, http, clock })
    : createSmartSource({ name, config: source, http, clock });
}
