export { formatAge, formatDuration } from '../core/age.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes as people read them: `512 B`, `1.2 GiB`. */
export function formatBytes(bytes: number): string {
  // What would be rounded to 1024 of a unit is 1 of the next.
  const power = UNITS.findIndex((_, n) => n === UNITS.length - 1 || bytes / 1024 ** n < (n === 0 ? 1024 : 1023.5));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

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
