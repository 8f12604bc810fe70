/** Tables of text: the first columns to the left, numbers to the right. */

/** A column's heading; `left` for words. */
export interface Column {
  readonly heading: string;
  readonly left?: true;
}

export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const lines = [columns.map(({ heading }) => heading), ...rows];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  const cell = (text: string, index: number): string => {
    const width = widths[index] as number;
    return columns[index]?.left ? text.padEnd(width) : text.padStart(width);
  };
  const formatted = lines.map((line) => line.map(cell).join('  ').trimEnd());
  return formatted.toSpliced(1, 0, widths.map((width) => '─'.repeat(width)).join('  ')).join('\n');
}

/** Three digits, or all of a whole number from 1000 on. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en');
  return value.toPrecision(3);
}

export const formatShare = (share: number): string => (Number.isFinite(share) ? `${Math.round(share * 100)} %` : '–');
