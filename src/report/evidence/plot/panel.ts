import { curveStepAfter, line } from 'd3-shape';
import type { DrillResult } from '../../../core/evidence.ts';
import { type Markup, markup } from '../markup.ts';
import { type Axis, timeAxis, valueAxis } from './axis.ts';

/** One measured point. Without a value it stands on the zero line as a mark that nothing was measured. */
export interface Point {
  /** Instant, ms. */
  at: number;
  value: number | undefined;
  result: DrillResult;
  /** What the point says when it is pointed at. */
  title: string;
}

/** A small plot of one target over time. */
export interface Panel {
  title: string;
  /** What a reader that cannot see it is told. */
  summary: string;
  points: readonly Point[];
  units: readonly [number, string][];
  /** First and last instant, ms. */
  span: readonly [number, number];
  /** The newest value in words. */
  newest?: string;
  /** What the config promised at a point's instant, and how it is called. */
  promised?: { points: readonly { at: number; value: number }[]; text: string };
  /** Points are drawn as marks; else the line alone. */
  marks: boolean;
}

const WIDTH = 360;
const HEIGHT = 150;
const LEFT = 52;
const RIGHT = WIDTH - 14;
const TOP = 14;
const BOTTOM = HEIGHT - 24;

const round = (value: number): number => Number(value.toFixed(1));

const cross = (x: number, y: number): Markup => markup`<path d="M${x - 4},${y - 4}l8,8m0,-8l-8,8"/>`;
const disc = (x: number, y: number, r: number): Markup => markup`<circle cx="${x}" cy="${y}" r="${r}"/>`;

/** Shapes beside colours: a disc, a cross, a ring. */
const shape = (result: DrillResult, x: number, y: number): Markup =>
  result === 'failed' ? cross(x, y) : disc(x, y, result === 'unproven' ? 3.6 : 3.2);

/** What the shapes mean. */
export const markLegend = (): Markup =>
  markup`<p class="legend small">${(['passed', 'failed', 'unproven'] as const).map(
    result =>
      markup`<span><svg viewBox="-6 -6 12 12" class="key" aria-hidden="true"><g class="mark ${result}">${shape(result, 0, 0)}</g></svg> ${result}</span> `,
  )}<span>On the zero line: not measured.</span></p>`;

function mark({ result, title, value }: Point, x: number, y: number): Markup {
  return markup`<g class="mark ${result}${value === undefined ? ' unmeasured' : ''}"><title>${title}</title><circle class="reach" cx="${x}" cy="${y}" r="9"/>${shape(result, x, y)}</g>`;
}

/** Words of a tick stay within the plot. */
const anchorAt = (x: number): string => (x > RIGHT - 24 ? 'end' : 'middle');

const grid = (x: Axis, y: Axis): Markup =>
  markup`<g class="axis" aria-hidden="true">${y.ticks.map(
    ({ at, text }) =>
      markup`<path d="M${LEFT},${round(at)}H${RIGHT}"/><text x="${LEFT - 6}" y="${round(at + 3.5)}" text-anchor="end">${text}</text>`,
  )}${x.ticks.map(({ at, text }) => markup`<text x="${round(at > RIGHT - 24 ? RIGHT : at)}" y="${HEIGHT - 8}" text-anchor="${anchorAt(at)}">${text}</text>`)}</g>`;

/** A step at each instant where the promise changed, from edge to edge; its words where no measured line is. */
function promise({ promised, points }: Panel, x: Axis, y: Axis): Markup | undefined {
  const first = promised?.points[0];
  const last = promised?.points.at(-1);
  if (!promised || !first || !last) return undefined;
  const path = line().curve(curveStepAfter)([
    [LEFT, round(y.at(first.value))],
    ...promised.points.map(({ at, value }): [number, number] => [round(x.at(at)), round(y.at(value))]),
    [RIGHT, round(y.at(last.value))],
  ]);
  const level = y.at(last.value);
  const near = points.some(({ value }) => value !== undefined && level - y.at(value) < 22 && level - y.at(value) > -4);
  const under = near || level < TOP + 10;
  return markup`<g class="promised"><path d="${path ?? ''}"/><text x="${LEFT + 4}" y="${round(level + (under ? 12 : -5))}">${promised.text}</text></g>`;
}

/** A panel as SVG that scales with its place; colours come from the page's style. */
export function panel(spec: Panel): Markup {
  const measured = spec.points.filter((point): point is Point & { value: number } => point.value !== undefined);
  const greatest = Math.max(0, ...measured.map(({ value }) => value), ...(spec.promised?.points ?? []).map(({ value }) => value));
  const x = timeAxis(spec.span[0], spec.span[1], [LEFT + 8, RIGHT - 8]);
  const y = valueAxis(greatest, spec.units, [BOTTOM, TOP]);
  const path = line<Point>()
    .defined(({ value }) => value !== undefined)
    .x(({ at }) => round(x.at(at)))
    .y(({ value }) => round(y.at(value!)))(spec.points);
  return markup`<figure class="panel"><figcaption><strong>${spec.title}</strong> ${spec.newest ? markup`<span>${spec.newest}</span>` : undefined}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${spec.summary}">${grid(x, y)}${promise(spec, x, y)}${
    measured.length > 1 ? markup`<path class="line" d="${path ?? ''}"/>` : undefined
  }${spec.marks || measured.length === 1 ? spec.points.map(each => mark(each, round(x.at(each.at)), round(y.at(each.value ?? 0)))) : undefined}</svg></figure>
`;
}
