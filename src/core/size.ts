const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes as people read them: `512 B`, `1.2 GiB`. */
export function formatBytes(bytes: number): string {
  // What would be rounded to 1024 of a unit is 1 of the next.
  const power = UNITS.findIndex((_, n) => n === UNITS.length - 1 || bytes / 1024 ** n < (n === 0 ? 1024 : 1023.5));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}
