import type { Evidence } from '../../../core/evidence.ts';
import type { ReportMaterial } from '../../../core/reportMaterial.ts';
import { type Markup, markup, type Part } from '../markup.ts';
import { calendar } from '../plot/calendar.ts';
import { badge, cameBack, longest, RESULT, spanOr, subject, time } from '../words.ts';
import { table } from './table.ts';

const row = (drill: Evidence): Part[] => [
  time(drill.startedAt),
  badge(drill.result, RESULT[drill.result]),
  subject(drill),
  cameBack(drill),
  spanOr(longest(drill.targets.map(({ rtoSeconds }) => rtoSeconds))),
  spanOr(longest(drill.targets.map(({ rpoSeconds }) => rpoSeconds))),
  markup`<code>${drill.id}</code>`,
];

const HEAD = ['Begun', 'Result', 'What', 'Came back', 'Longest RTO', 'Greatest RPO', 'Id'];

const key = (['passed', 'failed', 'unproven'] as const).map(result => markup`${badge(result, RESULT[result])} `);

/** The calendar of drills, and every drill, newest first. */
export const history = ({
  drills,
  at,
}: ReportMaterial): Markup => markup`<section><h2>Calendar of drills</h2><p class="legend small">${key} of several on a day the worst shows; days in UTC</p>
${calendar(drills, at)}</section>
<section><h2>All drills</h2>
${drills.length === 0 ? markup`<p>None is on record.</p>` : table('All drills, newest first', HEAD, [...drills].reverse().map(row), 'drills')}</section>
`;
