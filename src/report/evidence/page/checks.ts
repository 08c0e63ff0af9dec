import type { Evidence, TargetEvidence } from '../../../core/evidence.ts';
import { type Markup, markup, type Part } from '../markup.ts';
import { badge, RESULT, STATE, spanOr, titleOf } from '../words.ts';
import { table } from './table.ts';

const row = ({ name, state, text, mend, seconds }: TargetEvidence['checks'][number]): Part[] => [
  badge(STATE[state].of, STATE[state]),
  markup`<strong>${name}</strong>`,
  markup`${text}${mend === undefined ? undefined : markup`<pre class="mend">${mend}</pre>`}`,
  spanOr(seconds),
];

/** `9 checks, 1 fail`. */
function count(checks: TargetEvidence['checks']): string {
  const bad = (['fail', 'unproven'] as const).flatMap(state => {
    const found = checks.filter(check => check.state === state).length;
    return found > 0 ? [`${found} ${STATE[state].word}`] : [];
  });
  return [`${checks.length} checks`, ...bad].join(', ');
}

function block(target: TargetEvidence): Markup {
  const { checks, result, skipped } = target;
  const none = skipped === undefined ? 'Nothing was checked.' : `Not tried: ${skipped}`;
  const rows = checks.length === 0 ? markup`<p>${none}</p>` : table(`Checks of ${titleOf(target)}`, HEAD, checks.map(row), 'checks');
  return markup`<details class="checked"${result === 'passed' ? undefined : OPEN}><summary>${badge(result, RESULT[result])} <strong>${titleOf(
    target,
  )}</strong> <span class="small">${count(checks)}</span></summary>${rows}</details>
`;
}

const OPEN = markup` open`;
const HEAD = ['State', 'Check', 'What it showed', 'Took'];

/** Every check of a drill with what it showed and what mends it; what did not pass stands open. */
export const checksOf = ({ targets }: Evidence): Markup => markup`<section><h2>Checks</h2>
${targets.map(block)}</section>
`;
