import type { Corpus } from './corpus.ts';
import type { Figure } from './figure.ts';
import { median } from './median.ts';
import type { Round } from './rounds.ts';

const MB = 1e6;
/** What a pull is compared with: reading the same bytes with `JSON.parse` and doing nothing with them. */
const GOALS = { firstByParse: 1, firstByScript: 10, unchangedByParse: 2, changesShare: 0.02, atRestShare: 0.1 };

/**
 * What the rounds come to. Speeds are medians; a ratio is the median of the rounds' own ratios, since what disturbs a round disturbs
 * both sides of it. Where others want the machine too, processor time says more: a pull waits for its turn with each page and commit.
 */
export function figuresOf({
  rounds,
  corpus: { bytes },
  scriptBytes,
}: {
  readonly rounds: readonly Round[];
  readonly corpus: Corpus;
  readonly scriptBytes: number;
}): readonly Figure[] {
  const speed = (seconds: number) => bytes / MB / seconds;
  const scriptSpeed = (seconds: number) => scriptBytes / MB / seconds;
  const compare = comparing(rounds);
  const parse = ({ parse: { seconds } }: Round) => speed(seconds);
  const parseCpu = ({ parse: { cpuSeconds } }: Round) => speed(cpuSeconds);
  const first = ({ first: { seconds } }: Round) => speed(seconds);
  const unchanged = ({ unchanged: { seconds } }: Round) => speed(seconds);
  const script = ({ script: seconds }: Round) => scriptSpeed(seconds);
  const scriptInOne = ({ scriptInOne: seconds }: Round) => scriptSpeed(seconds);
  const firstCpu = ({ first: { cpuSeconds } }: Round) => speed(cpuSeconds);
  const unchangedCpu = ({ unchanged: { cpuSeconds } }: Round) => speed(cpuSeconds);
  const smaller = { unit: 'bytes', better: 'less' } as const;
  return [
    compare({ name: 'first full pull / JSON.parse', ours: first, base: parse, goal: GOALS.firstByParse }),
    compare({ name: 'first full pull / script, an insert each', ours: first, base: script, goal: GOALS.firstByScript }),
    compare({ name: 'first full pull / script, one transaction', ours: first, base: scriptInOne, goal: null }),
    compare({
      name: 'first full pull / JSON.parse, processor time of the thread',
      ours: firstCpu,
      base: parseCpu,
      goal: null,
    }),
    compare({ name: 'unchanged full pull / JSON.parse', ours: unchanged, base: parse, goal: GOALS.unchangedByParse }),
    compare({
      name: 'unchanged full pull / JSON.parse, processor time of the thread',
      ours: unchangedCpu,
      base: parseCpu,
      goal: null,
    }),
    compare({
      name: 'bytes on the wire, unchanged pull of changes / full pull',
      ours: ({ changesWireBytes }) => changesWireBytes,
      base: ({ fullWireBytes }) => fullWireBytes,
      goal: 1 / GOALS.changesShare,
      ...smaller,
    }),
    compare({
      name: 'bytes at rest / FHIR JSON',
      ours: ({ atRestBytes }) => atRestBytes,
      base: () => bytes,
      goal: 1 / GOALS.atRestShare,
      ...smaller,
    }),
  ];
}

type Value = (round: Round) => number;

function comparing(rounds: readonly Round[]) {
  return ({
    name,
    ours,
    base,
    goal,
    unit = 'MB/s',
    better = 'more',
  }: {
    readonly name: string;
    readonly ours: Value;
    readonly base: Value;
    readonly goal: number | null;
    readonly unit?: string;
    readonly better?: 'more' | 'less';
  }): Figure => {
    const ratio = (round: Round) => (better === 'more' ? ours(round) / base(round) : base(round) / ours(round));
    return {
      name,
      ours: median(rounds.map(ours)),
      base: median(rounds.map(base)),
      unit,
      ratio: median(rounds.map(ratio)),
      goal,
    };
  };
}
