import type { AuthorizationView } from '../../contract/wire.ts';
import { table } from '../print.ts';
import { DEMO_DAYS } from './scenario.ts';

const HOUR_S = 3_600;
const BAR_CHARS = 30;
/** Without a terminal, one line of progress each so many virtual hours. */
const PLAIN_EVERY_H = 12;

type Output = { readonly write: (text: string) => unknown; readonly isTTY?: boolean };

/** A live table on a terminal, a line now and then elsewhere. */
export type LiveView = {
  readonly show: (state: { readonly hours: number; readonly views: readonly AuthorizationView[] }) => void;
};

export function createLiveView({ out }: { readonly out: Output }): LiveView {
  let shownLines = 0;
  let nextPlainH = 0;
  return {
    show: ({ hours, views }) => {
      if (out.isTTY !== true) {
        if (hours < nextPlainH) return;
        nextPlainH += PLAIN_EVERY_H;
        out.write(`${progressOf(hours)}  ${countsOf(views)}\n`);
        return;
      }
      const text = `${progressOf(hours)}  ${countsOf(views)}\n\n${table([HEADER, ...views.map(rowOf)])}`;
      if (shownLines > 0) out.write(`\u001b[${shownLines}A\u001b[0J`);
      out.write(text);
      shownLines = text.split('\n').length - 1;
    },
  };
}

const HEADER = ['AUTHORIZATION', 'NETWORK', 'USAGE', 'STATE', 'WHY', 'RECORDS', 'NEXT RUN', 'PURGE'];

function rowOf(view: AuthorizationView): readonly string[] {
  const { freshness } = view;
  const age = freshness.ageSeconds === null ? '-' : `${(freshness.ageSeconds / HOUR_S).toFixed(1)} h old`;
  const usage = view.usage === view.usageRequested ? view.usage : `${view.usage} (${view.usageReason})`;
  const gone = view.state === 'purged' ? 'erased' : age;
  return [
    view.id,
    view.network,
    usage,
    view.state,
    view.why,
    gone,
    time(view.nextRunAt),
    time(view.purgedAt ?? view.purgeDueAt),
  ];
}

function time(iso: string | null): string {
  return iso === null ? '-' : `${iso.slice(5, 10)} ${iso.slice(11, 16)}`;
}

function progressOf(hours: number): string {
  const total = DEMO_DAYS * 24;
  const done = Math.min(BAR_CHARS, Math.floor((hours / total) * BAR_CHARS));
  const shown = Math.min(hours, total);
  return `day ${Math.floor(shown / 24)} ${String(Math.floor(shown % 24)).padStart(2, '0')} h [${'#'.repeat(done)}${'.'.repeat(BAR_CHARS - done)}]`;
}

function countsOf(views: readonly AuthorizationView[]): string {
  const counts = new Map<string, number>();
  for (const { state } of views) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
}
