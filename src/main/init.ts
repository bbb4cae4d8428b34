import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { PerennialError } from '../core/errors.ts';

const FILE = '.env';

/** `perennial init`: writes a `.env` with fresh keys, readable by its owner only. An existing one is left alone. */
export async function runInit({ out }: { readonly out: (line: string) => void }): Promise<void> {
  const secret = (bytes: number): string => randomBytes(bytes).toString('base64url');
  const cliKey = secret(24);
  const lines = [
    '# Made by `perennial init`. Losing ENCRYPTION_KEYS loses every stored token and record: keep a copy apart from the data.',
    `ENCRYPTION_KEYS=k1:${randomBytes(32).toString('base64')}`,
    `API_KEYS=app=${secret(24)},cli:enqueue+read+pull+purge+records+audit+operate=${cliKey}`,
    `PERENNIAL_API_KEY=${cliKey}`,
    'DASHBOARD_USER=operator',
    `DASHBOARD_PASSWORD=${secret(18)}`,
    'SOURCES_FILE=',
    '',
  ];
  try {
    await writeFile(FILE, lines.join('\n'), { flag: 'wx', mode: 0o600 });
  } catch {
    throw new PerennialError('config_invalid', { field: `${FILE} exists already and is left as it is` });
  }
  out(
    `${FILE} written: keys, an API key each for app and cli, a dashboard password. Next: set SOURCES_FILE, then npm start.`,
  );
}
