#!/usr/bin/env node
import { loadDotEnv, readEnvironment } from './config.ts';
import { codeOf, ERRORS, PerennialError } from './core/errors.ts';
import { FAILED_EXIT, lastResort } from './main/last-resort.ts';
import { REMOTE_COMMANDS, type RemoteCommand } from './main/remote.ts';
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

/** Each command loads what it needs: one that asks a running Perennial is there in a third of the processor time that all of a worker takes to load (0.22 of 0.76 s). */
async function main(): Promise<number | null> {
  const [command, ...args] = process.argv.slice(2);
  loadDotEnv();
  // The one check that asks nobody: a receipt and a public key are all that it takes.
  if (command === 'receipts' && args.includes('--file')) {
    const { verifyReceiptFile } = await import('./main/receipt-file.ts');
    return verifyReceiptFile({ args, out: process.stdout, err: process.stderr, stdin: process.stdin });
  }
  const remoteCommands = new Map<string, RemoteCommand>(Object.entries(REMOTE_COMMANDS));
  const ofTwoWords = remoteCommands.get(`${command} ${args[0]}`);
  if (ofTwoWords !== undefined) return remote(ofTwoWords, args.slice(1));
  const remoteCommand = remoteCommands.get(command ?? '');
  if (remoteCommand !== undefined) return remote(remoteCommand, args);
  switch (command) {
    case 'start':
      return serve(['web', 'worker']);
    case 'worker':
      return serve(['worker']);
    case 'web':
      return serve(['web']);
    case 'sandbox': {
      const { runSandbox } = await import('./main/sandbox.ts');
      await runSandbox({ args, out });
      return null;
    }
    case 'demo': {
      const { runDemo } = await import('./main/demo/run.ts');
      return runDemo({ args, out });
    }
    case 'simulate': {
      const { runSimulate } = await import('./main/simulate/command.ts');
      return runSimulate({ args, out: process.stdout, err: process.stderr });
    }
    case 'init': {
      const { runInit } = await import('./main/init.ts');
      await runInit({ out });
      return 0;
    }
    case 'keys': {
      if (args[0] !== 'intake') return usage();
      const { readIntakeKey } = await import('./main/installation.ts');
      out(JSON.stringify(await readIntakeKey(readEnvironment())));
      return 0;
    }
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

/** Runs on until it is told to stop; its exit code comes then. */
async function serve(parts: readonly ('web' | 'worker')[]): Promise<null> {
  const { runProcess } = await import('./main/process.ts');
  await runProcess({ parts });
  return null;
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
