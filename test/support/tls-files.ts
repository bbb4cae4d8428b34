import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TlsFiles } from './own-servers.ts';

export const canMakeCertificates = spawnSync('openssl', ['version']).status === 0;

/** An authority of the test's own and a certificate of 127.0.0.1 that it signed, as files in a folder. */
export async function makeTlsFiles(folder: string): Promise<TlsFiles> {
  const file = (name: string) => join(folder, name);
  const files = { ca: file('ca.crt'), cert: file('server.crt'), key: file('server.key') };
  await writeFile(file('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  run([
    'req',
    '-x509',
    ...key,
    '-keyout',
    file('ca.key'),
    '-out',
    files.ca,
    '-subj',
    '/CN=Test authority',
    '-days',
    '2',
  ]);
  run(['req', ...key, '-keyout', files.key, '-out', file('server.csr'), '-subj', '/CN=127.0.0.1']);
  const signing = [
    '-CA',
    files.ca,
    '-CAkey',
    file('ca.key'),
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    file('names'),
  ];
  run(['x509', '-req', '-in', file('server.csr'), '-out', files.cert, ...signing]);
  return files;
}

function run(command: readonly string[]): void {
  const { status, stderr } = spawnSync('openssl', command);
  if (status !== 0) throw new Error(`openssl ${command[0]}: ${String(stderr).slice(-300)}`);
}
