import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { parseRedisUrl, REDIS_URL_FORMS } from './contract/redis-address.ts';
import { faultOf } from './contract/wire.ts';
import { PerennialError } from './core/errors.ts';
import { LIMITS } from './core/limits.ts';
import { QUEUE_SHARDS_MAX } from './core/shard.ts';

export { cadenceSchema } from './contract/cadence.ts';

/** The scopes that an API key may have. */
export const SCOPES = ['enqueue', 'read', 'pull', 'purge', 'records', 'token', 'audit', 'operate'] as const;
export type Scope = (typeof SCOPES)[number];

const port = z.coerce.number().int().min(0).max(65_535);
const count = (max: number) => z.coerce.number().int().min(1).max(max);
const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
const url = (protocols: readonly string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    error: `must be a URL of ${protocols.join(' or ')}`,
  });

/** Every variable, with what it is for; `.env.example` is held equal to this by a test. */
export const environmentSchema = z.object({
  ENCRYPTION_KEYS: z
    .string()
    .min(1)
    .describe('Key-encryption keys, `id:base64 of 32 bytes`, comma-separated; the first seals, all open')
    .optional(),
  DATA_DIR: z.string().min(1).default('./data').describe('Where the embedded database lies'),
  KEYS_DIR: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Where the data keys lie as files, apart from all copies of the data; unset: DATA_DIR with -keys behind it',
    ),
  DATABASE_URL: url(['postgres:', 'postgresql:']).optional().describe('PostgreSQL; unset: embedded under DATA_DIR'),
  REDIS_URL: z
    .string()
    .refine((text) => parseRedisUrl(text) !== null, { error: `must be ${REDIS_URL_FORMS}` })
    .optional()
    .describe('Redis for BullMQ: one server, Sentinels or a Cluster; unset: BullMQ lies on the database'),
  KEY_DATABASE_URL: url(['postgres:', 'postgresql:'])
    .optional()
    .describe('A database apart for the data keys; unset: files in KEYS_DIR'),
  QUEUE_PREFIX: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/, 'must be lower-case letters, digits and dashes')
    .default('perennial')
    .describe('Prefix of all queue keys'),
  QUEUE_SHARDS: count(QUEUE_SHARDS_MAX)
    .default(1)
    .describe('Over so many shards in Redis the queues are spread; the same for all processes'),
  SOURCES_FILE: z.string().optional().describe('JSON file of the upstream registrations'),
  SOURCES: z.string().optional().describe('The same as JSON, instead of a file'),
  CADENCE_FILE: z.string().optional().describe('JSON file that overrides the cadence per network and per endpoint'),
  WARN_DAYS: z
    .string()
    .regex(/^\d{1,3}(?:,\d{1,3}){0,9}$/, 'must be one to ten whole numbers of days, comma-separated')
    .transform((text) => text.split(',').map(Number))
    .refine((days) => days.every((day) => day >= 1 && day <= LIMITS.warnDaysMax), 'must be 1 to 365 days each')
    .default([14, 7, 1])
    .describe('Days ahead of its end at which an authorization is warned of'),
  PURGE_ALERT_SECONDS: count(7 * 86_400)
    .default(300)
    .describe('A purge later than this sets the alert in metrics and in perennial status'),
  HOST: z.string().default('127.0.0.1').describe('Address to listen on'),
  PORT: port.default(3_000).describe('Port of the API, the dashboard, health and metrics'),
  WORKER_PORT: port
    .optional()
    .describe('Port of health and metrics of a worker that runs without the web; unset: none'),
  API_KEYS: z
    .string()
    .optional()
    .describe('`service=key` or `service:scope+scope=key`, comma-separated; a key has 24 characters at least'),
  DASHBOARD_USER: z.string().optional().describe('Name for the dashboard (basic authentication)'),
  DASHBOARD_PASSWORD: z
    .string()
    .refine((text) => text.length >= 12, 'must have 12 characters at least')
    .optional()
    .describe('Password for the dashboard'),
  DASHBOARD_PROXY_HEADER: z
    .string()
    .regex(/^[A-Za-z0-9-]+$/, 'must be a header name')
    .optional()
    .describe('Header that your authenticating proxy sets, instead of a password'),
  DASHBOARD_PROXY_VALUE: z
    .string()
    .refine((text) => text.length >= 12, 'must have 12 characters at least')
    .optional()
    .describe('What the proxy sets in that header; needed where others than the proxy can reach the port'),
  DASHBOARD_WRITABLE: flag.default(false).describe('true lets the dashboard retry and remove jobs'),
  WORKER_CONCURRENCY: count(1_000)
    .default(150)
    .describe('Jobs of one queue that one worker runs at once; up to twice as many more may last beyond five seconds'),
  WORKER_PULLS: count(1_000)
    .default(30)
    .describe('Pulls that one worker has under way at once, each with some MB; other runs do not wait for a place'),
  LOG_LEVEL: z.enum(['info', 'warn', 'error', 'silent']).default('info').describe('Log level'),
  CLOCK_SPEED: z.coerce
    .number()
    .min(1)
    .max(100_000)
    .default(1)
    .describe('For demos and tests against a sandbox: how much faster than real time'),
  CLOCK_EPOCH_MS: z.coerce
    .number()
    .min(0)
    .default(0)
    .describe('The wall instant at which a fast clock and real time agree'),
  PERENNIAL_URL: url(['http:', 'https:']).optional().describe('Where the command line finds a running Perennial'),
  PERENNIAL_API_KEY: z.string().optional().describe('The API key that the command line uses'),
});

export type Environment = Readonly<z.infer<typeof environmentSchema>>;

/**
 * The environment, checked once and frozen; the only reader of `process.env`. Empty variables count as unset.
 * @throws PerennialError `config_invalid` that names the variable and never its value.
 */
export function readEnvironment(env: NodeJS.ProcessEnv = process.env): Environment {
  const given = Object.fromEntries(
    Object.keys(environmentSchema.shape)
      .map((name) => [name, env[name]] as const)
      .filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
  const parsed = environmentSchema.safeParse(given);
  if (!parsed.success) throw new PerennialError('config_invalid', { field: faultOf(parsed.error) });
  return Object.freeze(parsed.data);
}

/** Reads a `.env` of the working directory into the environment, if there is one; what is set already stays. */
export function loadDotEnv(): void {
  if (existsSync('.env')) process.loadEnvFile('.env');
}

/** JSON from a file or a variable, parsed by a schema. @throws PerennialError `config_invalid` naming the variable and the field. */
export function readJsonSetting<T>({
  name,
  file,
  text,
  schema,
}: {
  readonly name: string;
  readonly file: string | undefined;
  readonly text?: string | undefined;
  readonly schema: z.ZodType<T>;
}): T {
  const parsed = schema.safeParse(jsonOf({ name, file, text }));
  if (!parsed.success) throw new PerennialError('config_invalid', { field: `${name} ${faultOf(parsed.error)}` });
  return parsed.data;
}

function jsonOf({
  name,
  file,
  text,
}: {
  readonly name: string;
  readonly file: string | undefined;
  readonly text?: string | undefined;
}): unknown {
  let content = text;
  try {
    content ??= file === undefined ? '{}' : readFileSync(file, 'utf8');
  } catch {
    throw new PerennialError('config_invalid', { field: `${name} cannot be read` });
  }
  try {
    const value: unknown = JSON.parse(content);
    return value;
  } catch {
    throw new PerennialError('config_invalid', { field: `${name} is not JSON` });
  }
}
