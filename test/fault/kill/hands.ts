import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { COMPILE_CACHE } from '../../support/compile-cache.ts';
import { type Line, lineSchema } from './orders.ts';

const ENTRY = fileURLToPath(new URL('./worker.ts', import.meta.url));

type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** One worker process that waits for its order. */
export type Hand = {
  readonly order: (order: object) => void;
  /** The first line of this kind. @throws Error when the process ends before. */
  readonly says: <S extends Line['said']>(said: S) => Promise<Extract<Line, { readonly said: S }>>;
  readonly ended: Promise<Ended>;
  readonly signal: (signal: NodeJS.Signals) => void;
};

export type Hands = {
  /** A process that is ready; a new one is started in its place. */
  readonly take: () => Promise<Hand>;
  /** Ends all that are left, whatever they do. */
  readonly close: () => Promise<void>;
};

/** Keeps `idle` composed worker processes waiting, because starting one takes longer than what is tested with it. */
export function keepHands({
  env,
  idle,
  entry = ENTRY,
}: {
  readonly env: Readonly<Record<string, string>>;
  readonly idle: number;
  /** What runs in them; it reads an order of its own kind. */
  readonly entry?: string;
}): Hands {
  const running = new Map<ChildProcess, Promise<Ended>>();
  const start = async (): Promise<Hand> => {
    const child = spawn(process.execPath, [entry], {
      env: { ...COMPILE_CACHE, ...env },
      cwd: tmpdir(),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const hand = handOf(child);
    running.set(child, hand.ended);
    void hand.ended.then(() => running.delete(child));
    await hand.says('ready');
    return hand;
  };
  // Given out in turn and started a few at a time: starting all at once would make each of them slow.
  const waiting: Promise<Hand>[] = [];
  const askers: ((hand: Promise<Hand>) => void)[] = [];
  let starting = 0;
  const startOne = async (): Promise<void> => {
    starting += 1;
    const hand = start();
    await hand.catch(() => undefined);
    starting -= 1;
    // Whoever takes one that did not start hears of it.
    (askers.shift() ?? ((unasked) => waiting.push(unasked)))(hand);
    refill();
  };
  const refill = (): void => {
    while (!closed && starting + waiting.length < idle) void startOne();
  };
  let closed = false;
  // The first one alone: it fills the compile cache that all others start from.
  void startOne();
  return {
    take: () => {
      const hand = waiting.shift();
      if (hand === undefined) return new Promise((resolve) => askers.push(resolve));
      refill();
      return hand;
    },
    close: async () => {
      closed = true;
      for (const child of running.keys()) child.kill('SIGKILL');
      await Promise.all(running.values());
    },
  };
}

function handOf(child: ChildProcess): Hand {
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('a worker process without pipes');
  stdin.on('error', () => undefined);
  const lines: Line[] = [];
  const listeners = new Set<() => void>();
  const tell = (): void => {
    for (const listener of listeners) listener();
  };
  const read = createInterface({ input: stdout }).on('line', (line) => {
    lines.push(lineSchema.parse(JSON.parse(line)));
    tell();
  });
  const { promise: silent, resolve: silence } = Promise.withResolvers<void>();
  read.once('close', silence);
  const { promise: gone, resolve: go } = Promise.withResolvers<Ended>();
  child.once('exit', (code, signal) => go({ code, signal }));
  const ended = gone.then(async (how) => {
    await silent;
    tell();
    return how;
  });
  let over = false;
  void ended.then(() => {
    over = true;
    tell();
  });
  return {
    order: (order) => stdin.write(`${JSON.stringify(order)}\n`),
    says: (said) => firstLine({ said, lines, listeners, isOver: () => over }),
    ended,
    signal: (signal) => void child.kill(signal),
  };
}

function firstLine<S extends Line['said']>({
  said,
  lines,
  listeners,
  isOver,
}: {
  readonly said: S;
  readonly lines: readonly Line[];
  readonly listeners: Set<() => void>;
  readonly isOver: () => boolean;
}): Promise<Extract<Line, { readonly said: S }>> {
  const isWanted = (line: Line): line is Extract<Line, { readonly said: S }> => line.said === said;
  const { promise, resolve, reject } = Promise.withResolvers<Extract<Line, { readonly said: S }>>();
  const look = (): void => {
    const line = lines.find(isWanted);
    if (line !== undefined) resolve(line);
    else if (isOver()) reject(new Error(`a worker process ended before it was ${said}: ${JSON.stringify(lines)}`));
    else return;
    listeners.delete(look);
  };
  listeners.add(look);
  look();
  return promise;
}
