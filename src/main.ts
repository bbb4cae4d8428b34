#!/usr/bin/env node
import { loadDotEnv, readEnvironment } from './config.ts';
import { codeOf, ERRORS, PerennialError } from './core/errors.ts';
import { runDemo } from './main/demo/run.ts';
import { runInit } from './main/init.ts';
import { readIntakeKey } from './main/installation.ts';
import { FAILED_EXIT, lastResort } from './main/last-resort.ts';
import { runProcess } from './main/process.ts';
import { verifyReceiptFile } from './main/receipt-file.ts';
import { REMOTE_COMMANDS, type RemoteCommand } from './main/remote.ts';
import { runSandbox } from './main/sandbox.ts';
import { runSimulate } from './main/simulate/command.ts';
import { version } from './main/version.ts';

const HELP = `perennial ${version}: keeps patient-authorized health records fresh

  start                 worker and web in one process
  worker | web          one of them
  enqueue FILE.json     hand over an authorization (- reads standard input)
  list | status ID      what there is, and how it is
  status                all together: states, purge lag and its alert
  pull ID | purge ID    pull now; end and erase
  release ID            lets a quarantined one run again (its workers died three times)
  types ID              each resource type: last pull, held, suspected to be gone
  suspected ID TYPE removed|kept
                        the word on suspected removals: publish or keep
  export ID --out DIR   the records as files, one for each resource type
  calendar | events     who ends when; what happened (--days N, --after CURSOR)
  sources               which sources are in trouble
  plan --cadence FILE   the load that another cadence file would cause, before it is applied
  receipt ID | receipts list
                        the signed proof of a purge; of all
  receipts verify       check them all; or one, asking nobody: --file FILE --key JWK.json
  audit verify          check every link of the audit trail and of the receipts
  audit export --out FILE.ndjson
                        the audit trail as FHIR AuditEvents
  sandbox               a Flexpa-compatible upstream on loopback
  demo [--keep]         everything at once, three virtual days in under 90 s
  simulate [--authorizations N] [--days N]
                        a fleet on a virtual clock with faults: what is late, how flat the load is
  init                  write a .env with fresh keys
  keys intake           print the public key that other services seal to
  keys rotate | status  wrap all data keys by the newest key; which key wraps how many

All from enqueue to audit, and keys rotate and status, talk to a running Perennial (PERENNIAL_URL, PERENNIAL_API_KEY); --json prints JSON.
`;

const USAGE_EXIT = 2;

const out = (line: string): void => void process.stdout.write(`${line}\n`);
const fail = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(): Promise<number | null> {
  const [command, ...args] = process.argv.slice(2);
  loadDotEnv();
  // The one check that asks nobody: a receipt and a public key are all that it takes.
  if (command === 'receipts' && args.includes('--file')) {
    return verifyReceiptFile({ args, out: process.stdout, err: process.stderr, stdin: process.stdin });
  }
  const remoteCommands = new Map<string, RemoteCommand>(Object.entries(REMOTE_COMMANDS));
  const ofTwoWords = remoteCommands.get(`${command} ${args[0]}`);
  if (ofTwoWords !== undefined) return remote(ofTwoWords, args.slice(1));
  const remoteCommand = remoteCommands.get(command ?? '');
  if (remoteCommand !== undefined) return remote(remoteCommand, args);
  switch (command) {
    case 'start':
      await runProcess({ parts: ['web', 'worker'] });
      return null;
    case 'worker':
      await runProcess({ parts: ['worker'] });
      return null;
    case 'web':
      await runProcess({ parts: ['web'] });
      return null;
    case 'sandbox':
      await runSandbox({ args, out });
      return null;
    case 'demo':
      return runDemo({ args, out });
    case 'simulate':
      return runSimulate({ args, out: process.stdout, err: process.stderr });
    case 'init':
      await runInit({ out });
      return 0;
    case 'keys':
      if (args[0] !== 'intake') return usage();
      out(JSON.stringify(await readIntakeKey(readEnvironment())));
      return 0;
    case 'help':
    case '--help':
      out(HELP);
      return 0;
    case '--version':
      out(version);
      return 0;
    default:
      return usage();
  }
}

function remote(command: RemoteCommand, args: readonly string[]): Promise<number> {
  const { PERENNIAL_URL, PERENNIAL_API_KEY, HOST, PORT } = readEnvironment();
  if (PERENNIAL_API_KEY === undefined)
    throw new PerennialError('config_invalid', { field: 'PERENNIAL_API_KEY is missing' });
  return command({
    args,
    baseUrl: PERENNIAL_URL ?? `http://${HOST}:${PORT}`,
    apiKey: PERENNIAL_API_KEY,
    out: process.stdout,
    err: process.stderr,
    stdin: process.stdin,
  });
}

function usage(): number {
  fail(HELP);
  return USAGE_EXIT;
}

lastResort.install();
try {
  const exitCode = await main();
  if (exitCode !== null) process.exitCode = exitCode;
} catch (error) {
  const known = error instanceof PerennialError;
  fail(`perennial: ${known ? error.message : ERRORS[codeOf(error)].message}`);
  process.exitCode = FAILED_EXIT;
}
