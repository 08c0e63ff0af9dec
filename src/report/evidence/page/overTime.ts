import type { Evidence, TargetEvidence } from '../../../core/evidence.ts';
import type { ReportMaterial, StoredSize } from '../../../core/reportMaterial.ts';
import { formatBytes, formatInstant } from '../../format.ts';
import { type Markup, markup, type Part } from '../markup.ts';
import { BYTES, SECONDS } from '../plot/axis.ts';
import { markLegend, type Panel, type Point, panel } from '../plot/panel.ts';
import { thin } from '../plot/thin.ts';
import { formatSpan, RESULT, spanOr, time, titleOf } from '../words.ts';
import { figures } from './table.ts';

type Figure = 'rtoSeconds' | 'rpoSeconds';

interface Tried {
  drill: Evidence;
  target: TargetEvidence;
}

/** Targets by their titles, in the order of the newest drill, those that it left out after them. */
function byTarget(drills: readonly Evidence[]): Map<string, Tried[]> {
  const order = [...drills].reverse().flatMap(({ targets }) => targets.map(titleOf));
  const found = new Map(order.map((title): [string, Tried[]] => [title, []]));
  for (const drill of drills) for (const target of drill.targets) found.get(titleOf(target))!.push({ drill, target });
  return found;
}

const pointOf = ({ drill, target }: Tried, figure: Figure): Point => ({
  at: Date.parse(drill.startedAt),
  value: target[figure],
  result: target.result,
  title: `${formatInstant(new Date(drill.startedAt))}: ${target[figure] === undefined ? 'not measured' : formatSpan(target[figure])}, ${RESULT[target.result].word}`,
});

function promisedOf(tried: readonly Tried[]): Pick<Panel, 'promised'> {
  const points = tried.flatMap(({ drill, target: { rpoPromisedSeconds: value } }) =>
    value === undefined ? [] : [{ at: Date.parse(drill.startedAt), value }],
  );
  const last = points.at(-1);
  return last ? { promised: { points, text: `promised ${formatSpan(last.value)}` } } : {};
}

function drillPanel(title: string, tried: readonly Tried[], figure: Figure, name: string, span: [number, number]): Markup {
  const last = tried.at(-1)!.target[figure];
  const newest = last === undefined ? 'not measured' : formatSpan(last);
  return panel({
    title,
    summary: `${name} of ${title} in ${tried.length} drills; newest: ${newest}`,
    points: tried.map(each => pointOf(each, figure)),
    units: SECONDS,
    span,
    newest,
    marks: true,
    ...(figure === 'rpoSeconds' ? promisedOf(tried) : {}),
  });
}

/** Drills down, targets across. */
function figureTable(drills: readonly Evidence[], titles: readonly string[], figure: Figure, caption: string): Markup {
  const cells = (drill: Evidence): Part[] =>
    titles.map(title => {
      const target = drill.targets.find(each => titleOf(each) === title);
      return target ? `${spanOr(target[figure])}${target.result === 'passed' ? '' : ` (${RESULT[target.result].word})`}` : '';
    });
  return figures(
    caption,
    ['Drill', ...titles],
    [...drills].reverse().map(drill => [time(drill.startedAt), ...cells(drill)]),
  );
}

function measure(drills: readonly Evidence[], figure: Figure, name: string, heading: string, says: string): Markup {
  const targets = byTarget(drills);
  const span: [number, number] = [Date.parse(drills[0]!.startedAt), Date.parse(drills.at(-1)!.startedAt)];
  return markup`<section><h2>${heading}</h2><p class="says">${says}</p>
<div class="panels ${figure}">
${[...targets].map(([title, tried]) => drillPanel(title, tried, figure, name, span))}</div>
${markLegend()}${figureTable(drills, [...targets.keys()], figure, `${name} of each drill as a table`)}</section>
`;
}

/** Stretches of time that the line of a panel can show. */
const STRETCHES = 150;

function sizePanel(title: string, sizes: readonly StoredSize[]): Markup {
  const last = sizes.at(-1)!;
  const points = thin(
    sizes.map(({ startedAt, bytes, backup }) => ({
      at: Date.parse(startedAt),
      value: bytes,
      result: 'passed' as const,
      title: `${backup}: ${formatBytes(bytes)}`,
    })),
    STRETCHES,
  );
  return panel({
    title,
    summary: `Stored size of ${sizes.length} backups of ${title}; newest: ${formatBytes(last.bytes)}`,
    points,
    units: BYTES,
    span: [Date.parse(sizes[0]!.startedAt), Date.parse(last.startedAt)],
    newest: formatBytes(last.bytes),
    marks: points.length <= 60,
  });
}

function sizeRow(title: string, sizes: readonly StoredSize[]): Part[] {
  const bytes = sizes.map(each => each.bytes);
  const [first, last] = [sizes[0]!, sizes.at(-1)!];
  const extremes = [first.bytes, Math.min(...bytes), Math.max(...bytes), last.bytes].map(formatBytes);
  return [title, sizes.length, time(first.startedAt), time(last.startedAt), ...extremes];
}

const SIZE_HEAD = ['Target', 'Backups', 'Oldest', 'Newest', 'Size of the oldest', 'Least', 'Greatest', 'Size of the newest'];

function grouped(sizes: readonly StoredSize[]): Map<string, StoredSize[]> {
  const found = new Map<string, StoredSize[]>(sizes.map(each => [titleOf(each), []]));
  for (const each of sizes) found.get(titleOf(each))!.push(each);
  return found;
}

/** Stored sizes of the backups that the stores hold. */
export function sizesOverTime({ sizes }: ReportMaterial): Markup | undefined {
  const byTitle = grouped(sizes);
  if (byTitle.size === 0) return undefined;
  return markup`<section><h2>Stored size of backups</h2><p class="says">What each backup takes in one store, of those that the stores hold now.</p>
<div class="panels sizes">
${[...byTitle].map(([title, all]) => sizePanel(title, all))}</div>
${figures(
  'Stored sizes as a table',
  SIZE_HEAD,
  [...byTitle].map(([title, all]) => sizeRow(title, all)),
)}</section>
`;
}

export const rtoOverTime = ({ drills }: ReportMaterial): Markup =>
  measure(drills, 'rtoSeconds', 'RTO', 'RTO over time', 'How long fetch, restore and start took: what an outage would take at least.');

export const rpoOverTime = ({ drills }: ReportMaterial): Markup =>
  measure(
    drills,
    'rpoSeconds',
    'RPO',
    'RPO over time',
    'What would have been lost: from the recovery point that was reached to the begin of the drill.',
  );
