import type { Evidence } from '../../../core/evidence.ts';
import type { ReportMaterial } from '../../../core/reportMaterial.ts';
import { formatAge } from '../../format.ts';
import { type Markup, markup } from '../markup.ts';
import { cameBack, formatSpan, longest, RESULT, spanOr, subject, time, titleOf, tookSeconds } from '../words.ts';

const tile = (name: string, value: string, more: string): Markup =>
  markup`<div class="tile"><dt>${name}</dt><dd>${value}<small>${more}</small></dd></div>`;

/** The target with the greatest of a figure. */
function slowest(drill: Evidence, figure: 'rtoSeconds' | 'rpoSeconds'): { value: number | undefined; of: string } {
  const value = longest(drill.targets.map(target => target[figure]));
  const target = value === undefined ? undefined : drill.targets.find(each => each[figure] === value);
  return { value, of: target ? titleOf(target) : 'not measured' };
}

/** How many of the promises were held: what was not measured was not. */
function promises({ targets }: Evidence): string {
  const promised = targets.filter(({ rpoPromisedSeconds }) => rpoPromisedSeconds !== undefined);
  const held = promised.filter(({ rpoPromisedSeconds, rpoSeconds }) => rpoSeconds !== undefined && rpoSeconds <= rpoPromisedSeconds!);
  return promised.length === 0 ? '' : `; ${held.length} of ${promised.length} as promised`;
}

function tiles(drill: Evidence): Markup {
  const rto = slowest(drill, 'rtoSeconds');
  const rpo = slowest(drill, 'rpoSeconds');
  const back = drill.targets.filter(({ result }) => result === 'passed').length;
  return markup`<dl class="tiles">${tile('Came back', `${back} of ${drill.targets.length}`, 'targets')}${tile('Longest RTO', spanOr(rto.value), rto.of)}${tile(
    'Greatest RPO',
    spanOr(rpo.value),
    `${rpo.of}${promises(drill)}`,
  )}${tile('The drill took', formatSpan(tookSeconds(drill)), 'from begin to end')}</dl>`;
}

/** The newest drill's result, in large, or that there is none. */
export function hero({ drills, at, env }: ReportMaterial): Markup {
  const drill = drills.at(-1);
  if (!drill)
    return markup`<section class="hero none" aria-label="Newest drill"><p class="verdict"><span aria-hidden="true">–</span> No drill yet</p>
<p>No drill of ${env} is on record, so nothing shows that its backups come back. <code>bkp drill</code> makes the first one.</p></section>
`;
  const { word, sign } = RESULT[drill.result];
  const age = formatAge(new Date(drill.startedAt), new Date(at));
  return markup`<section class="hero ${drill.result}" aria-label="Newest drill"><p class="verdict"><span aria-hidden="true">${sign}</span> ${word[0]!.toUpperCase()}${word.slice(1)}</p>
<p class="what"><strong>${subject(drill)}</strong><br>begun ${time(drill.startedAt)}, ${age} when this page was made; ${cameBack(drill)}</p>
${tiles(drill)}
<p class="small">drill <code>${drill.id}</code>${drill.set ? markup`, set <code>${drill.set}</code>` : undefined}, by ${drill.tool}, ended ${time(drill.finishedAt)}</p></section>
`;
}
