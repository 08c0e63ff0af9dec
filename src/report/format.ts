export { formatAge, formatDuration } from '../core/age.ts';
export { formatBytes } from '../core/size.ts';

/** An instant in UTC to the second: `2026-01-15 02:00:00Z`. */
export const formatInstant = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')}Z`;

/** Rows as aligned columns, two spaces apart; numbers are the caller's to format. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map(row => (row[column] ?? '').length)));
  return all.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}
