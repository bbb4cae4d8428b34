import { describe, expect, test } from 'vitest';
import { environmentSchema } from '../../src/config.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { composeFaults, interpolatedNames } from './support/compose.ts';
import { readFile } from './support/files.ts';

const { text } = readFile('docker-compose.yml');
const rules = {
  variables: new Set(Object.keys(environmentSchema.shape)),
  // Running jobs, then servers, pools and databases, which src/main/process.ts gives 10 s.
  graceSeconds: LIMITS.shutdownCapMs / 1_000 + 10,
};
const faultsOf = (compose: string): readonly string[] => composeFaults({ text: compose, ...rules });

/** How the file names what has to be in .env. */
const needed = (name: string): string => ['$', `{${name}:?set it in .env}`].join('');

/** The part of one service, changed. */
function change(service: string, from: RegExp | string, to: string): string {
  const [, head = '', part = '', tail = ''] =
    new RegExp(`^([\\s\\S]*?\\n  ${service}:\\n)((?:    .*\\n|\\n)+)([\\s\\S]*)$`).exec(text) ?? [];
  const changed = part.replace(from, to);
  expect(changed).not.toBe(part);
  return head + changed + tail;
}

describe('docker-compose.yml', () => {
  test('starts redis, postgres and the worker without rights, healthy, and keeps what they took', () => {
    expect(faultsOf(text)).toEqual([]);
  });

  test('asks .env for the passwords, the keys and the port, and for nothing else', () => {
    expect([...interpolatedNames(text)].sort()).toEqual([
      'ENCRYPTION_KEYS',
      'PORT',
      'POSTGRES_PASSWORD',
      'REDIS_PASSWORD',
    ]);
  });
});

describe('the rule of docker-compose.yml', () => {
  test.each(['redis', 'postgres', 'worker'])('sees what %s lacks', (service) => {
    const lacks = (from: RegExp, to: string, fault: string): void =>
      expect(faultsOf(change(service, from, to))).toContain(`${service} ${fault}`);
    lacks(/read_only: true/, 'read_only: false', 'has a root that can be written');
    lacks(/ {4}cap_drop: .*\n/, '', 'keeps capabilities');
    lacks(/ {4}cap_drop: /, '    privileged: true\n    cap_drop: ', 'keeps capabilities');
    lacks(/ {4}security_opt: .*\n/, '', 'may gain privileges');
    lacks(/ {4}healthcheck:\n(?: {6}.*\n)+/, '', 'has no health check');
    lacks(/unless-stopped/, "'no'", 'does not come back');
  });

  const breaks: readonly (readonly [service: string, from: RegExp | string, to: string, fault: string])[] = [
    ['redis', 'user: redis', 'user: root', 'redis runs as root'],
    ['postgres', '    user: postgres\n', '', 'postgres runs as root'],
    ['worker', 'build: .', "build: .\n    user: '0'", 'worker is given another user than the image has'],
    ['redis', 'redis:7.4-bookworm', 'redis', 'redis is not pinned to a version'],
    ['postgres', 'postgres:17-bookworm', 'postgres:latest', 'postgres is not pinned to a version'],
    ['redis', /policy noeviction/, 'policy allkeys-lru', 'redis may evict a job'],
    ['redis', 'appendonly yes', 'appendonly no', 'redis forgets what it took'],
    ['redis', / appendfsync always$/m, ' appendfsync everysec', 'redis says OK before it is on disk'],
    ['redis', /requirepass .*/, '', 'redis asks for no password'],
    ['redis', 'redis-server -', 'redis-server - --requirepass x', 'redis shows its password in the process list'],
    ['redis', 'networks: [inside]', 'networks: [outside]', 'a database can be reached from outside'],
    [
      'postgres',
      'networks: [inside]',
      "networks: [inside]\n    ports: ['5432:5432']",
      'a database can be reached from outside',
    ],
    ['postgres', needed('POSTGRES_PASSWORD'), 'hunter2', 'a secret stands in the file, or may be missing'],
    ['worker', needed('POSTGRES_PASSWORD'), 'hunter2', 'a secret stands in the file, or may be missing'],
    [
      'worker',
      needed('REDIS_PASSWORD'),
      ['$', '{REDIS_PASSWORD}'].join(''),
      'a secret stands in the file, or may be missing',
    ],
    ['worker', 'env_file: .env\n', '\n', 'worker gets no .env'],
    ['worker', 'HOST: 0.0.0.0', 'HOST: 127.0.0.1', 'worker listens where nobody asks'],
    ['worker', "PORT: '3000'", "PORT: '3001'", 'worker listens where nobody asks'],
    ['worker', '- 127.0.0.1:', '- 0.0.0.0:', 'worker is published to everybody'],
    [
      'worker',
      'postgres: { condition: service_healthy }',
      'postgres: { condition: service_started }',
      'worker starts too early',
    ],
    ['worker', 'stop_grace_period: 90s', 'stop_grace_period: 10s', 'worker is killed while it closes'],
    ['worker', '/healthz', '/', 'worker is asked for its health elsewhere'],
    ['worker', '      HOST:', '      REDIS_HOST: redis\n      HOST:', 'worker is given REDIS_HOST, which nobody reads'],
    ['worker', 'keys:/keys', 'postgres:/keys', 'two services share a volume'],
    ['worker', '      - keys:/keys\n', '', 'data ends with its container'],
    ['worker', 'KEYS_DIR: /keys', 'KEYS_DIR: /app/keys', 'the data keys end with their container'],
    ['postgres', '- postgres:/var', '- ./pg:/var', 'data ends with its container'],
  ];

  test.each(breaks.map(([service, from, to, fault]) => ({ service, from, to, fault })))(
    'sees, where $service is changed, that $fault',
    ({ service, from, to, fault }) => {
      expect(faultsOf(change(service, from, to))).toContain(fault);
    },
  );
});
