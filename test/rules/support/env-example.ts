/** One variable of `.env.example`, with the comment over it and the heading it stands under. */
type Entry = { readonly name: string; readonly value: string; readonly comment: string; readonly heading: string };

export const COMPOSE_HEADING = 'Docker Compose only';

export function parseEnvExample(text: string): readonly Entry[] {
  const entries: Entry[] = [];
  let heading = '';
  let comment: string[] = [];
  for (const line of text.split('\n')) {
    const [, title] = /^# -+ (.+?) -+$/.exec(line) ?? [];
    const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (title !== undefined) heading = title;
    if (line === '') comment = [];
    if (line.startsWith('#')) comment.push(line.slice(1).trim());
    if (name === undefined || value === undefined) continue;
    entries.push({ name, value, comment: comment.join(' '), heading });
    comment = [];
  }
  return entries;
}

/** Where `.env.example` and the settings that are read differ: in variables, in defaults, in being explained. */
export function envExampleFaults({
  text,
  defaults,
  composeOnly,
}: {
  readonly text: string;
  /** Every variable that is read; null without a default. */
  readonly defaults: ReadonlyMap<string, string | null>;
  readonly composeOnly: ReadonlySet<string>;
}): readonly string[] {
  const entries = parseEnvExample(text);
  const names = entries.map(({ name }) => name);
  const known = [...defaults.keys(), ...composeOnly];
  return [
    ...known.filter((name) => !names.includes(name)).map((name) => `${name} is missing`),
    ...names.filter((name, index) => names.indexOf(name) !== index).map((name) => `${name} is there twice`),
    ...entries.flatMap(({ name, value, comment, heading }) => {
      const forCompose = composeOnly.has(name);
      if (!forCompose && !defaults.has(name)) return [`${name} is read by nobody`];
      return [
        ...(comment.length < 12 ? [`${name} is not explained`] : []),
        ...(forCompose === (heading === COMPOSE_HEADING) ? [] : [`${name} stands under the wrong heading`]),
        ...(value === (defaults.get(name) ?? '') ? [] : [`${name} has another default`]),
      ];
    }),
  ];
}
