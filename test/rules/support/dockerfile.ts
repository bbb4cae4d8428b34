/** One instruction, its lines joined; `stage` counts the FROMs from 1. */
export type Instruction = { readonly word: string; readonly rest: string; readonly stage: number };

export function parseDockerfile(text: string): readonly Instruction[] {
  const lines = text
    .split('\n')
    .filter((line) => !/^\s*(?:#|$)/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n');
  let stage = 0;
  return lines.map((line) => {
    const [, word = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (word === 'FROM') stage += 1;
    return { word, rest, stage };
  });
}

/** The arguments of `["node", "a.js"]`, where an instruction is in that form; null where a shell would run it. */
export function execFormOf(text: string): readonly string[] | null {
  const start = text.indexOf('[');
  if (start < 0) return null;
  const list: unknown = JSON.parse(text.slice(start));
  return Array.isArray(list) && list.every((one) => typeof one === 'string') ? list : null;
}

/** The shell commands of the first stage, in order. */
export function buildCommandsOf(text: string): readonly string[] {
  return parseDockerfile(text).flatMap(({ word, rest, stage }) => (word === 'RUN' && stage === 1 ? [rest] : []));
}

/** The final stage's only instruction of a kind; the last one wins, as in Docker. */
export function finalOf(text: string, word: string): string | null {
  const all = parseDockerfile(text);
  const last = Math.max(...all.map(({ stage }) => stage));
  return all.filter((one) => one.stage === last && one.word === word).at(-1)?.rest ?? null;
}

/** What the image promises and does not keep. */
export function dockerfileFaults({
  text,
  nodeMajor,
  sourceOf,
}: {
  readonly text: string;
  readonly nodeMajor: string;
  /** Whether the build emits a file. */
  readonly sourceOf: (emitted: string) => boolean;
}): readonly string[] {
  const all = parseDockerfile(text);
  const froms = all.filter(({ word }) => word === 'FROM').map(({ rest }) => rest);
  const installs = all.filter(({ word, rest }) => word === 'RUN' && /\bnpm (?:ci|install|prune)\b/.test(rest));
  const copies = all.filter(({ word, stage }) => word === 'COPY' && stage === froms.length);
  const command = execFormOf(finalOf(text, 'CMD') ?? '') ?? [];
  const run = command.slice(1).filter((word) => !word.startsWith('--'));
  const health = finalOf(text, 'HEALTHCHECK') ?? '';
  const checks: readonly (readonly [boolean, string])[] = [
    [froms.length < 2, 'is not built in stages'],
    [froms.some((from) => !/^\S+:\d[\w.-]*(?: AS \w+)?$/.test(from)), 'is not pinned to a version'],
    [froms.some((from) => !from.startsWith(`node:${nodeMajor}-`)), 'has another Node than the tests'],
    [!/^[1-9]\d*(?::[1-9]\d*)?$/.test(finalOf(text, 'USER') ?? ''), 'runs as root, or as a name'],
    [finalOf(text, 'STOPSIGNAL') !== 'SIGTERM', 'does not stop by SIGTERM'],
    [!/\bNODE_ENV=production\b/.test(finalOf(text, 'ENV') ?? ''), 'is not a production'],
    [!keeps(text, 'DATA_DIR', '/data'), 'keeps no data'],
    [!keeps(text, 'KEYS_DIR', '/keys'), 'keeps no keys'],
    [installs.length === 0 || installs.some(({ rest }) => !rest.includes('--ignore-scripts')), 'runs install scripts'],
    [all.some(({ word, rest }) => word === 'RUN' && /\bnpm (?:i|install)\b/.test(rest)), 'installs past the lockfile'],
    [!buildCommandsOf(text).at(-1)?.includes('--omit=dev'), 'ships what only builds'],
    [
      copies.some(({ rest }) => !/^--from=build \/app\/(?:package\.json|node_modules|dist) /.test(rest)),
      'ships more than it runs',
    ],
    [!health.includes('/healthz') || execFormOf(health)?.[0] !== 'node', 'has no health check by node'],
    [command[0] !== 'node' || run[1] !== 'start' || !sourceOf(run[0] ?? ''), 'starts what the build does not emit'],
    [/(?:KEY(?!S_DIR=)|PASSWORD|SECRET|TOKEN)\w*=/.test(text), 'holds a secret'],
  ];
  return checks.filter(([broken]) => broken).map(([, fault]) => fault);
}

/** A folder that is a volume, and the setting that leads there. */
function keeps(text: string, setting: string, folder: string): boolean {
  const volumes = execFormOf(finalOf(text, 'VOLUME') ?? '') ?? [];
  return volumes.includes(folder) && (finalOf(text, 'ENV') ?? '').split(' ').includes(`${setting}=${folder}`);
}
