import { formatBytes, formatDuration } from './format.ts';

/** How much there will be: known, or as it was the time before. */
export interface Size {
  total?: number | undefined;
  expected?: number | undefined;
}

/** Rate over the whole run so far, and the time left where it can be told. What was expected says nothing once there is more. */
export function progressText(what: string, bytes: number, { total, expected }: Size, elapsedMs: number): string {
  const rate = elapsedMs > 0 ? (bytes * 1000) / elapsedMs : 0;
  const about = total === undefined && expected !== undefined && expected > bytes;
  const end = about ? expected : total;
  const left = end && rate > 0 && end > bytes ? `, ${formatDuration(((end - bytes) / rate) * 1000)} left` : '';
  const of = end ? ` of ${about ? 'about ' : ''}${formatBytes(end)}` : '';
  return `${what}: ${formatBytes(bytes)}${of}, ${formatBytes(rate)}/s${left}`;
}
