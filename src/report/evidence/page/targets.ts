import type { Evidence, TargetEvidence } from '../../../core/evidence.ts';
import { formatBytes } from '../../format.ts';
import { type Markup, markup } from '../markup.ts';
import { phaseBar, phaseLegend, total } from '../plot/phases.ts';
import { badge, formatSpan, longest, RESULT, spanOr, time, titleOf } from '../words.ts';
import { table } from './table.ts';

const source = ({ store, backup, storedBytes, plainBytes }: TargetEvidence): Markup =>
  markup`${store ?? '-'}${backup ? markup`<br><code>${backup}</code>` : undefined}${
    storedBytes === undefined
      ? undefined
      : markup`<br><span class="small">${formatBytes(storedBytes)} stored${
          plainBytes === undefined ? undefined : markup`<br>${formatBytes(plainBytes)} plain`
        }</span>`
  }`;

function rpo({ rpoSeconds, rpoPromisedSeconds }: TargetEvidence): Markup {
  if (rpoPromisedSeconds === undefined) return markup`${spanOr(rpoSeconds)}`;
  const over = rpoSeconds !== undefined && rpoSeconds > rpoPromisedSeconds;
  return markup`${spanOr(rpoSeconds)}<br><span class="small">promised <span class="whole">${formatSpan(rpoPromisedSeconds)}</span>${
    over ? markup` <strong class="over">missed</strong>` : undefined
  }</span>`;
}

function row(target: TargetEvidence, longestSeconds: number): Part[] {
  const { engine, wave, result, skipped, recoveryPointAt, rtoSeconds, phases } = target;
  return [
    wave + 1,
    markup`<strong>${titleOf(target)}</strong><br><span class="small">${engine}</span>`,
    markup`${badge(result, RESULT[result])}${skipped === undefined ? undefined : markup`<br><span class="small">not tried: ${skipped}</span>`}`,
    source(target),
    recoveryPointAt ? time(recoveryPointAt) : '-',
    spanOr(rtoSeconds),
    rpo(target),
    phases ? phaseBar(phases, longestSeconds) : '-',
  ];
}

type Part = Markup | string | number;

const HEAD = ['Wave', 'Target', 'Result', 'Store and backup', 'Recovery point', 'RTO', 'RPO', 'Where the time went'];

/** How each target came back in one drill. */
export function targetTable({ targets }: Evidence): Markup {
  const sorted = [...targets].sort((a, b) => a.wave - b.wave);
  const most = longest(sorted.map(({ phases }) => (phases ? total(phases) : undefined))) ?? 0;
  return markup`<section><h2>Targets</h2>
${table(
  'How each target came back',
  HEAD,
  sorted.map(target => row(target, most)),
  'targets',
)}${phaseLegend()}</section>
`;
}
