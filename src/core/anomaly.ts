import type { Manifest } from './contracts.ts';
import { formatBytes } from './size.ts';

/** How many earlier backups say what is usual. */
const OVER = 5;

/** Plain bytes of the data: as the target says, else those of all streamed pieces; what another tool holds has none. */
export const plainBytes = (manifest: Manifest): number =>
  manifest.contentBytes ?? manifest.pieces.reduce((sum, piece) => sum + ('bytes' in piece ? piece.bytes : 0), 0);

/** The middle one of some numbers, of an even count the mean of the middle two; undefined of none. */
export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
}

/** What is usual is said anew by each backup whose size a person accepted. */
const sinceAccepted = (earlier: readonly Manifest[]): readonly Manifest[] =>
  earlier.slice(
    Math.max(
      0,
      earlier.findLastIndex(({ sizeAccepted }) => sizeAccepted === true),
    ),
  );

/**
 * Whether a backup is so much smaller than usual that it counts as failed. Usual is the median of the last five that are no anomalies
 * themselves, from the last one on whose size was accepted.
 * @param bytes its plain bytes
 * @param earlier manifests of the same target, oldest first
 * @param percent below how much of the usual size it is an anomaly; 0 = never
 * @returns a sentence with both sizes; undefined when all is well, or there is nothing to compare with
 */
export function anomalyOf(bytes: number, earlier: readonly Manifest[], percent: number): string | undefined {
  const compared = sinceAccepted(earlier)
    .filter(({ anomaly }) => anomaly === undefined)
    .slice(-OVER);
  const usual = median(compared.map(plainBytes));
  if (usual === undefined || bytes >= (usual * percent) / 100) return undefined;
  const of = compared.length === 1 ? 'of the one before it' : `that is usual (median of the last ${compared.length})`;
  return `it has ${formatBytes(bytes)}, less than ${percent} % of the ${formatBytes(Math.round(usual))} ${of}`;
}
