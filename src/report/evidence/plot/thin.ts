/** Instants and values that one line of a plot can show. */
export interface Sample {
  at: number;
  value: number;
}

/**
 * At most two of each stretch of time, its least and its greatest: what stands out stays. The first and the last stay too.
 * @param samples oldest first
 */
export function thin<T extends Sample>(samples: readonly T[], stretches: number): T[] {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || samples.length <= 2 * stretches) return [...samples];
  const width = (last.at - first.at) / stretches || 1;
  const byStretch = new Map<number, T[]>();
  for (const sample of samples) {
    const n = Math.min(stretches - 1, Math.floor((sample.at - first.at) / width));
    const [least = sample, greatest = sample] = byStretch.get(n) ?? [];
    byStretch.set(n, [sample.value < least.value ? sample : least, sample.value > greatest.value ? sample : greatest]);
  }
  const kept = new Set([first, last, ...[...byStretch.values()].flat()]);
  return samples.filter(sample => kept.has(sample));
}
