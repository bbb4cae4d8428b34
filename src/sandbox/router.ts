import type { Reply } from './reply.ts';
import type { Request } from './request.ts';
import type { Sandbox } from './state.ts';

/** Answers one request. Synchronous on purpose: what one request changes, no other request can see half done. */
export type Handler = (sandbox: Sandbox, request: Request, params: Readonly<Record<string, string>>) => Reply;

/** A path as `/a/:name/b`; `:name` matches one segment. Earlier routes win. */
export type Route = { readonly method: string; readonly path: string; readonly handle: Handler };

/** The first route that fits, with its parameters, or null. */
export function findRoute(
  routes: readonly Route[],
  request: Request,
): { handle: Handler; params: Readonly<Record<string, string>> } | null {
  for (const route of routes) {
    if (route.method !== request.method) continue;
    const params = matchPath(route.path.slice(1).split('/'), request.segments);
    if (params !== null) return { handle: route.handle, params };
  }
  return null;
}

function matchPath(pattern: readonly string[], segments: readonly string[]): Readonly<Record<string, string>> | null {
  if (pattern.length !== segments.length) return null;
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? '';
    if (part.startsWith(':') && segment !== '') params[part.slice(1)] = segment;
    else if (part !== segment) return null;
  }
  return params;
}
