import type { Clock } from '../../core/ports/clock.ts';
import type { Sources } from '../../core/ports/upstream.ts';
import { createFlexpaSource } from './flexpa.ts';
import { createHttp } from './http.ts';
import type { SourcesConfig } from './source-config.ts';

/** All configured registrations over one HTTP agent. */
export function createSources({ config, clock }: { readonly config: SourcesConfig; readonly clock: Clock }): Sources {
  const http = createHttp();
  const sources = new Map(
    Object.entries(config).map(([name, source]) => [name, createFlexpaSource({ name, config: source, http, clock })]),
  );
  return {
    get: (name) => sources.get(name),
    names: () => [...sources.keys()],
    close: () => http.close(),
  };
}
