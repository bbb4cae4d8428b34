import { describe, expect, test } from 'vitest';
import { chart, progressBar } from '../../src/main/chart.ts';

describe('a chart', () => {
  test('draws each value as a column, full at its top, in eighths of a line', () => {
    expect(chart({ values: [0, 4, 8, 16], top: 16, columns: 80, rows: 2 })).toBe('16    █\n 0  ▄██\n');
  });

  test('shows the highest value of those that share a column, and is no wider than the terminal', () => {
    const values = Array.from({ length: 192 }, (_, at) => (at === 100 ? 10 : 1));
    const drawn = chart({ values, top: 10, columns: 80, rows: 4 });
    expect(Math.max(...drawn.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(drawn.match(/█/g)).toHaveLength(4);
  });

  test('of nothing is empty and not a division by zero', () => {
    expect(chart({ values: [0, 0], top: 0, columns: 80, rows: 2 })).toBe('0\n0\n');
  });
});

test('a bar of progress is empty at first, full at the end, and never longer', () => {
  expect(progressBar(0, 4)).toBe('[....]   0 %');
  expect(progressBar(0.5, 4)).toBe('[##..]  50 %');
  expect(progressBar(1.2, 4)).toBe('[####] 100 %');
});
