import { parse } from 'yaml';
import { z } from 'zod';

const health = z.object({ test: z.array(z.string()).min(2), interval: z.string(), timeout: z.string() });
const serviceSchema = z.looseObject({
  image: z.string().default(''),
  build: z.string().optional(),
  user: z.string().optional(),
  command: z.array(z.string()).default([]),
  env_file: z.string().optional(),
  environment: z.record(z.string(), z.string()).default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  networks: z.array(z.string()).default([]),
  tmpfs: z.array(z.string()).default([]),
  read_only: z.boolean().default(false),
  cap_drop: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  privileged: z.boolean().default(false),
  healthcheck: health.optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  restart: z.string().optional(),
  stop_grace_period: z.string().default('10s'),
});
const composeSchema = z.object({
  services: z.object({ redis: serviceSchema, postgres: serviceSchema, worker: serviceSchema }),
  networks: z.record(z.string(), z.object({ internal: z.boolean().default(false) }).nullable()).default({}),
  volumes: z.record(z.string(), z.unknown()).default({}),
});
type Service = z.infer<typeof serviceSchema>;

/** `${NAME}` of the file; `$$NAME` is the container's own. */
export function interpolatedNames(text: string): readonly string[] {
  const code = text.replaceAll(/^\s*#.*$/gm, '');
  return [...new Set([...code.matchAll(/(?<!\$)\$\{([A-Z][A-Z0-9_]*)/g)].flatMap(([, name = '']) => [name]))];
}

/** What the production start promises and does not keep. */
export function composeFaults({
  text,
  variables,
  graceSeconds,
}: {
  readonly text: string;
  /** What the worker reads. */
  readonly variables: ReadonlySet<string>;
  /** How long its close may take. */
  readonly graceSeconds: number;
}): readonly string[] {
  const { services, networks, volumes } = composeSchema.parse(parse(text));
  const { redis, postgres, worker } = services;
  const isOpen = (name: string): boolean => networks[name]?.internal !== true;
  return [
    ...Object.entries(services).flatMap(([name, service]) => serviceFaults(service).map((fault) => `${name} ${fault}`)),
    ...redisFaults(redis),
    ...workerFaults({ worker, variables, graceSeconds }),
    ...[redis, postgres]
      .filter(({ ports, networks: joined }) => ports.length > 0 || joined.length === 0 || joined.some(isOpen))
      .map(() => 'a database can be reached from outside'),
    ...secretFaults(text),
    ...volumeFaults({ services: [redis, postgres, worker], volumes }),
  ];
}

function serviceFaults(service: Service): readonly string[] {
  const checks: readonly (readonly [boolean, string])[] = [
    [service.build === undefined && !/^\w+:\d[\w.-]*$/.test(service.image), 'is not pinned to a version'],
    [service.build === undefined && (service.user === undefined || /^(?:root|0)\b/.test(service.user)), 'runs as root'],
    [service.build !== undefined && service.user !== undefined, 'is given another user than the image has'],
    [!service.read_only || !service.tmpfs.includes('/tmp'), 'has a root that can be written'],
    [!service.cap_drop.includes('ALL') || service.privileged || 'cap_add' in service, 'keeps capabilities'],
    [!service.security_opt.includes('no-new-privileges:true'), 'may gain privileges'],
    [service.healthcheck === undefined, 'has no health check'],
    [service.restart !== 'unless-stopped', 'does not come back'],
  ];
  return checks.filter(([broken]) => broken).map(([, fault]) => fault);
}

function redisFaults({ command, image }: Service): readonly string[] {
  const settings = command
    .join('\n')
    .split('\n')
    .map((line) => line.trim());
  const checks: readonly (readonly [boolean, string])[] = [
    [!image.startsWith('redis:7.4'), 'redis is not 7.4'],
    [!settings.includes('maxmemory-policy noeviction'), 'redis may evict a job'],
    [!settings.includes('appendonly yes'), 'redis forgets what it took'],
    [!settings.includes('appendfsync always'), 'redis says OK before it is on disk'],
    [!settings.some((line) => /^requirepass \$\$[A-Z]/.test(line)), 'redis asks for no password'],
    [settings.some((line) => line.includes('--requirepass')), 'redis shows its password in the process list'],
  ];
  return checks.filter(([broken]) => broken).map(([, fault]) => fault);
}

function workerFaults({
  worker,
  variables,
  graceSeconds,
}: {
  readonly worker: Service;
  readonly variables: ReadonlySet<string>;
  readonly graceSeconds: number;
}): readonly string[] {
  const { environment, ports, depends_on: needs } = worker;
  const [, inside] = /:(\d+)$/.exec(ports[0] ?? '') ?? [];
  const checks: readonly (readonly [boolean, string])[] = [
    [worker.env_file !== '.env', 'worker gets no .env'],
    [environment['HOST'] !== '0.0.0.0' || environment['PORT'] !== inside, 'worker listens where nobody asks'],
    [ports.length === 0 || ports.some((port) => !port.startsWith('127.0.0.1:')), 'worker is published to everybody'],
    [['redis', 'postgres'].some((name) => needs[name]?.condition !== 'service_healthy'), 'worker starts too early'],
    [Number.parseInt(worker.stop_grace_period, 10) < graceSeconds, 'worker is killed while it closes'],
    [!worker.healthcheck?.test.join(' ').includes(`:${inside}/healthz`), 'worker is asked for its health elsewhere'],
  ];
  const unknown = Object.keys(environment).filter((name) => !variables.has(name));
  return [
    ...checks.filter(([broken]) => broken).map(([, fault]) => fault),
    ...unknown.map((name) => `worker is given ${name}, which nobody reads`),
  ];
}

/** A password comes from .env by name, and its lack stops the start. */
function secretFaults(text: string): readonly string[] {
  const code = text.replaceAll(/^\s*#.*$/gm, '');
  const named = code.matchAll(/^\s*\w*(?:PASSWORD|AUTH|SECRET|KEYS?):\s*(.+)$/gm);
  const inAddresses = code.matchAll(/:\/\/[\w-]*:(.+?)@/g);
  return [...named, ...inAddresses]
    .map(([, value = '']) => value.trim())
    .filter((value) => !/^\$\{[A-Z_]+:\?[^}]+\}$/.test(value))
    .map(() => 'a secret stands in the file, or may be missing');
}

/** The data keys lie apart from the database, both outlive their container. */
function volumeFaults({
  services,
  volumes,
}: {
  readonly services: readonly Service[];
  readonly volumes: Readonly<Record<string, unknown>>;
}): readonly string[] {
  const places = ['/data', '/var/lib/postgresql/data', '/keys'];
  const kept = services.map((service, index) => service.volumes.find((volume) => volume.endsWith(`:${places[index]}`)));
  const names = kept.map((volume) => volume?.split(':')[0] ?? '');
  return [
    ...(names.some((name) => !(name in volumes)) ? ['data ends with its container'] : []),
    ...(new Set(names).size < names.length ? ['two services share a volume'] : []),
    ...(services[2]?.environment['KEYS_DIR'] === '/keys' ? [] : ['the data keys end with their container']),
  ];
}
