import type { Clock } from '../../core/ports/clock.ts';
import type { Sources } from '../../core/ports/upstream.ts';
import { createFlexpaSource } from './flexpa.ts';
import { createHttp } from './http.ts';
import type { SourcesConfig } from './source-config.ts';

/** All configured registrations over two HTTP agents: one for tokens, one for pages. */
export function createSources({ config, clock }: { readonly config: SourcesConfig; readonly clock: Clock }): Sources {
  // Apart, so that page downloads which fill their connections never keep a token request waiting past its deadline.
  const [tokens, pages] = [createHttp(), createHttp()];
  const sources = new Map(
    Object.entries(config).map(([name, source]) => [
      name,
      createFlexpaSource({ name, config: source, http: { tokens, pages }, clock }),
    ]),
  );
  return {
    get: (name) => sources.get(name),
    names: () => [...sources.keys()],
    close: async () => {
      await Promise.all([tokens.close(), pages.close()]);
    },
  };
}
