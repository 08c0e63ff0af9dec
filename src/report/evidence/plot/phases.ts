import type { TargetEvidence } from '../../../core/evidence.ts';
import { type Markup, markup } from '../markup.ts';
import { formatSpan } from '../words.ts';

type Phases = NonNullable<TargetEvidence['phases']>;

/** In the order in which they run; the first three are the RTO. */
export const PHASES = ['fetch', 'restore', 'start', 'prove'] as const satisfies readonly (keyof Phases)[];

export const total = (phases: Phases): number => PHASES.reduce((sum, phase) => sum + phases[phase], 0);

/** Where the time went as one bar, and the same in words. `longestSeconds` is the whole width, the same for all bars of a table. */
export function phaseBar(phases: Phases, longestSeconds: number): Markup {
  const words = PHASES.map(phase => `${phase} ${formatSpan(phases[phase])}`).join(', ');
  const scale = longestSeconds > 0 ? 100 / longestSeconds : 0;
  const starts = PHASES.map((_, n) => PHASES.slice(0, n).reduce((sum, phase) => sum + phases[phase], 0));
  return markup`<svg class="phases" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="${words}">${PHASES.map(
    (phase, n) =>
      markup`<rect class="${phase}" x="${(starts[n]! * scale).toFixed(2)}" y="0" width="${(phases[phase] * scale).toFixed(2)}" height="6"><title>${phase} ${formatSpan(phases[phase])}</title></rect>`,
  )}</svg><span class="small">${words}</span>`;
}

export const phaseLegend = (): Markup =>
  markup`<p class="legend small">${PHASES.map(phase => markup`<span><svg viewBox="0 0 10 10" class="key" aria-hidden="true"><rect class="${phase}" width="10" height="10"/></svg> ${phase}</span> `)}<span>RTO is fetch, restore and start together.</span></p>`;
