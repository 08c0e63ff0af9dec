const STEPS: readonly [number, string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
];

/** A duration in milliseconds as its largest whole unit: `3 d`, `2 h`, `45 s`, `300 ms`. */
export function formatDuration(ms: number): string {
  const whole = Math.round(Math.abs(ms));
  const step = STEPS.find(([size]) => whole >= size);
  return step ? `${Math.floor(whole / step[0])} ${step[1]}` : `${whole} ms`;
}

/** How long ago, or how far ahead: `2 h ago`, `in 5 min`. */
export const formatAge = (at: Date, now: Date): string => {
  const ms = now.getTime() - at.getTime();
  return ms >= 0 ? `${formatDuration(ms)} ago` : `in ${formatDuration(ms)}`;
};
