/** Eighths of a line, from nothing to all of it. */
const BLOCKS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
const COLUMNS_MIN = 24;

export type Chart = {
  readonly values: readonly number[];
  /** The value that fills the chart to its top, so that two charts can be compared. */
  readonly top: number;
  readonly columns: number;
  readonly rows: number;
};

/** Values as columns of block characters, `rows` lines high, the highest value's number at the top left. Where there are more values than columns, each column shows the highest of its share. */
export function chart({ values, top, columns, rows }: Chart): string {
  const label = String(Math.ceil(top));
  const width = Math.max(COLUMNS_MIN, columns - label.length - 2);
  const bars = narrowed(values, Math.min(width, values.length));
  const eighths = bars.map((value) => (top === 0 ? 0 : Math.round((value / top) * rows * 8)));
  const lines = Array.from({ length: rows }, (_, row) => {
    const below = (rows - 1 - row) * 8;
    const margin = row === 0 ? label : row === rows - 1 ? '0' : '';
    const cells = eighths.map((height) => BLOCKS[Math.max(0, Math.min(8, height - below))] ?? ' ');
    return `${margin.padStart(label.length)} ${cells.join('')}`.trimEnd();
  });
  return `${lines.join('\n')}\n`;
}

function narrowed(values: readonly number[], width: number): readonly number[] {
  return Array.from({ length: width }, (_, column) => {
    const from = Math.floor((column * values.length) / width);
    const to = Math.max(from + 1, Math.floor(((column + 1) * values.length) / width));
    return values.slice(from, to).reduce((most, one) => Math.max(most, one), 0);
  });
}

/** A bar of progress with its share in words: `[#####.....]  50 %`. */
export function progressBar(share: number, columns: number): string {
  const whole = Math.max(0, Math.min(1, share));
  const filled = Math.round(whole * columns);
  return `[${'#'.repeat(filled)}${'.'.repeat(columns - filled)}] ${String(Math.floor(whole * 100)).padStart(3)} %`;
}
