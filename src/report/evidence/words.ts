import type { DrillResult, Evidence, TargetEvidence } from '../../core/evidence.ts';
import { formatAge, formatInstant } from '../format.ts';
import { type Markup, markup } from './markup.ts';

export type CheckState = TargetEvidence['checks'][number]['state'];

/** A word and a sign for each result and state: colour alone says nothing. */
export const RESULT: Readonly<Record<DrillResult, { word: string; sign: string }>> = {
  passed: { word: 'passed', sign: '✓' },
  failed: { word: 'failed', sign: '✗' },
  unproven: { word: 'unproven', sign: '?' },
};

export const STATE: Readonly<Record<CheckState, { word: string; sign: string; of: DrillResult | 'note' }>> = {
  ok: { word: 'ok', sign: '✓', of: 'passed' },
  note: { word: 'note', sign: 'i', of: 'note' },
  fail: { word: 'fail', sign: '✗', of: 'failed' },
  unproven: { word: 'unproven', sign: '?', of: 'unproven' },
};

/** `kind/name`. */
export const titleOf = ({ kind, name }: { kind: string; name: string }): string => `${kind}/${name}`;

const UNITS: readonly [number, string][] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
];

/** Seconds to two units: `0.3 s`, `41 min 12 s`, `2 h`, `3 d 4 h`. */
export function formatSpan(seconds: number): string {
  if (seconds < 59.5) return `${seconds < 10 ? Number(seconds.toFixed(1)) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const n = UNITS.findIndex(([size]) => whole >= size);
  const [size, unit] = UNITS[n]!;
  const [below, lower] = UNITS[n + 1] ?? [1, 's'];
  const more = Math.floor((whole % size) / below);
  return `${Math.floor(whole / size)} ${unit}${more > 0 ? ` ${more} ${lower}` : ''}`;
}

/** An instant with how long before the report it was. */
export const formatMoment = (instant: string, now: string): string =>
  `${formatInstant(new Date(instant))} (${formatAge(new Date(instant), new Date(now))})`;

/** An instant in UTC for machines and people. */
export const time = (instant: string): Markup => markup`<time datetime="${instant}">${formatInstant(new Date(instant))}</time>`;

/** A coloured word with its sign. */
export const badge = (of: DrillResult | 'note', { word, sign }: { word: string; sign: string }): Markup =>
  markup`<span class="badge ${of}"><span aria-hidden="true">${sign}</span> ${word}</span>`;

/** What was tried, in words: `full-dr of production, in staging`. */
export const subject = ({ scope, env, drilledIn }: Evidence): string =>
  `${scope} of ${env}${drilledIn === env ? '' : `, tried in ${drilledIn}`}`;

/** Seconds from the begin of a drill to its end. */
export const tookSeconds = ({ startedAt, finishedAt }: Evidence): number =>
  Math.max(0, (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000);

export const cameBack = ({ targets }: Evidence): string =>
  `${targets.filter(({ result }) => result === 'passed').length} of ${targets.length} targets came back`;

/** The longest of some figures; undefined where there is none. */
export const longest = (figures: readonly (number | undefined)[]): number | undefined =>
  figures.reduce((most, figure) => (figure === undefined || (most !== undefined && most >= figure) ? most : figure), undefined);

/** A duration in seconds, or that none was measured. */
export const spanOr = (seconds: number | undefined): string => (seconds === undefined ? '-' : formatSpan(seconds));
