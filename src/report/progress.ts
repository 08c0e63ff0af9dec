import { formatBytes, formatDuration } from './format.ts';

/** Rate over the whole run so far, and the time left where the total is known. */
export function progressText(what: string, bytes: number, total: number | undefined, elapsedMs: number): string {
  const rate = elapsedMs > 0 ? (bytes * 1000) / elapsedMs : 0;
  const left = total && rate > 0 && total > bytes ? `, ${formatDuration(((total - bytes) / rate) * 1000)} left` : '';
  return `${what}: ${formatBytes(bytes)}${total ? ` of ${formatBytes(total)}` : ''}, ${formatBytes(rate)}/s${left}`;
}
