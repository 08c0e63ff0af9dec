import { describe, expect, it } from '@jest/globals';
import { renderReport } from '../../../src/report/evidence/index.ts';
import { formatSpan, titleOf } from '../../../src/report/evidence/words.ts';
import { all, attribute, type Element, elements, parse, rowsOf, textOf } from './dom.ts';
import { drill, eighteen, material } from './samples.ts';

type Page = ReturnType<typeof parse>;

const made = parse(renderReport(material()).html);

/** The page of eighteen drills, or of other material; without sizes, which take the longest to read. */
const pageOf = (change?: Parameters<typeof material>[0]): Page =>
  change ? parse(renderReport(material({ sizes: [], ...change })).html) : made;

const tableOf = (page: Page, kind: string): Element => all(page, 'table', kind)[0]!;
const section = (page: Page, heading: string): Element =>
  all(page, 'section').find(each => all(each, 'h2').some(title => textOf(title) === heading))!;

describe('the page', () => {
  it('is whole in itself: nothing runs, nothing is loaded, nothing leads away', () => {
    const page = pageOf();
    const tags = new Set(elements(page).map(({ tagName }) => tagName));
    for (const tag of ['script', 'link', 'img', 'iframe', 'object', 'a', 'use', 'image', 'foreignobject']) expect(tags).not.toContain(tag);
    const names = elements(page).flatMap(({ attrs }) => attrs.map(({ name }) => name));
    expect(names.filter(name => /^on|^src|href|^style$/.test(name))).toEqual([]);
    expect(textOf(all(page, 'style')[0]!)).not.toMatch(/url\(|@import|@font-face|https?:/);
    const policy = all(page, 'meta').find(each => attribute(each, 'http-equiv') === 'Content-Security-Policy')!;
    expect(attribute(policy, 'content')).toMatch(/^default-src 'none'; style-src 'unsafe-inline'/);
  });

  it('says the newest result first, with instant and age', () => {
    const hero = all(pageOf(), 'section')[0]!;
    expect(attribute(hero, 'class')).toBe('hero passed');
    const text = textOf(hero);
    expect(text).toMatch(/✓ Passed/);
    expect(text).toContain('full-dr of production, tried in staging');
    expect(text).toMatch(/2026-11-01 04:00:\d\dZ, 27 d ago/);
    expect(text).toContain('5 of 5 targets came back');
    expect(text).toContain('5 of 5 as promised');
  });

  it.each([
    ['failed', 11, '3 of 5'],
    ['unproven', 15, '4 of 5'],
  ] as const)('of a drill that is %s says so', (result, count, back) => {
    const hero = all(pageOf({ drills: eighteen().slice(0, count) }), 'section')[0]!;
    expect(attribute(hero, 'class')).toBe(`hero ${result}`);
    expect(textOf(hero).toLowerCase()).toContain(result);
    expect(textOf(hero)).toContain(`${back} targets came back`);
    expect(textOf(hero)).toContain(`${back} as promised`);
  });

  it('has a row per target with its figures, and each phase as a bar', () => {
    const page = pageOf();
    const rows = rowsOf(tableOf(page, 'targets'));
    const newest = eighteen().at(-1)!;
    expect(rows.length).toBe(5);
    for (const target of newest.targets) {
      const row = rows.find(each => textOf(each).includes(titleOf(target)))!;
      expect(textOf(row)).toContain(target.backup!);
      // People count waves from 1, as the runbook of a restore does.
      expect(textOf(all(row, 'td')[0]!)).toBe(String(target.wave + 1));
      expect(textOf(row)).toContain(formatSpan(target.rtoSeconds!));
      expect(textOf(row)).toContain(`${formatSpan(target.rpoSeconds!)}promised ${formatSpan(target.rpoPromisedSeconds!)}`);
      const widths = all(row, 'rect').map(bar => [attribute(bar, 'class'), Number(attribute(bar, 'width'))] as const);
      expect(widths.map(([phase]) => phase)).toEqual(['fetch', 'restore', 'start', 'prove']);
      expect(widths[0]![1] / widths[1]![1]).toBeCloseTo(target.phases!.fetch / target.phases!.restore, 0);
    }
  });

  it('marks an RPO that was promised and missed', () => {
    const late = drill(0);
    late.targets[1]!.rpoSeconds = 901;
    const page = pageOf({ drills: [late] });
    expect(all(page, 'strong', 'over').map(textOf)).toEqual(['missed']);
    expect(textOf(all(page, 'section')[0]!)).toContain('4 of 5 as promised');
  });

  it('shows every check with text and mend, and opens what did not pass', () => {
    const page = pageOf({ drills: eighteen().slice(0, 11) });
    const blocks = all(page, 'details', 'checked');
    const { targets } = eighteen()[10]!;
    expect(blocks.map(block => attribute(block, 'open') !== undefined)).toEqual(targets.map(({ result }) => result !== 'passed'));
    for (const [n, { checks, skipped }] of targets.entries()) {
      expect(all(blocks[n]!, 'table').flatMap(rowsOf).length).toBe(checks.length);
      for (const { text, mend = '' } of checks) expect(textOf(blocks[n]!)).toContain(text + mend);
      if (skipped) expect(textOf(blocks[n]!)).toContain(skipped);
    }
  });

  it('names what was left out', () => {
    expect(textOf(section(pageOf({ leftOut: ['object x is not signed'] }), 'Left out'))).toContain('object x is not signed');
    expect(section(pageOf(), 'Left out')).toBeUndefined();
  });

  it('lists all drills newest first, beside the plots as tables too', () => {
    const page = pageOf();
    const ids = rowsOf(tableOf(page, 'drills')).map(row => textOf(all(row, 'code')[0]!));
    expect(ids).toEqual(
      eighteen()
        .map(({ id }) => id)
        .reverse(),
    );
    for (const name of ['RTO over time', 'RPO over time']) {
      const rows = rowsOf(all(section(page, name), 'table')[0]!);
      expect(rows.length).toBe(18);
      expect(textOf(rows[7]!)).toContain('- (failed)');
    }
    expect(rowsOf(all(section(page, 'Stored size of backups'), 'table')[0]!).map(row => textOf(all(row, 'td')[0]!))).toEqual([
      '90',
      '90',
      '1000',
      '90',
      '90',
    ]);
  });

  it('of no drill shows that nothing is proven', () => {
    const page = pageOf({ drills: [], sizes: [] });
    expect(textOf(all(page, 'section')[0]!)).toMatch(/No drill yet.*nothing shows that its backups come back/s);
    expect(all(page, 'span', 'passed').length).toBe(1); // The key of the calendar.
    expect(all(page, 'figure')).toEqual([]);
    expect(all(page, 'g', 'passed')).toEqual([]);
  });
});

describe('the plots', () => {
  const ran = (title: string, drills = eighteen()) => drills.flatMap(({ targets }) => targets.filter(each => titleOf(each) === title));

  it.each([
    ['RTO over time', 'rtoSeconds'],
    ['RPO over time', 'rpoSeconds'],
  ] as const)('%s has a panel per target and a mark per drill, also for what was not measured', (heading, figure) => {
    const panels = all(section(pageOf(), heading), 'figure');
    expect(panels.map(each => textOf(all(each, 'strong')[0]!))).toEqual(eighteen()[0]!.targets.map(titleOf));
    for (const each of panels) {
      const tried = ran(textOf(all(each, 'strong')[0]!));
      const marks = all(each, 'g', 'mark');
      expect(marks.map(mark => attribute(mark, 'class'))).toEqual(
        tried.map(target => `mark ${target.result}${target[figure] === undefined ? ' unmeasured' : ''}`),
      );
      expect(marks.map(mark => textOf(all(mark, 'title')[0]!).includes('not measured'))).toEqual(
        tried.map(target => target[figure] === undefined),
      );
    }
  });

  it('a greater figure stands higher, and a later drill further to the right', () => {
    const [panel] = all(section(pageOf(), 'RTO over time'), 'figure');
    const places = all(panel!, 'circle', 'reach').map(each => [Number(attribute(each, 'cx')), Number(attribute(each, 'cy'))] as const);
    const values = ran('etcd/k3s').map(({ rtoSeconds }) => rtoSeconds!);
    const order = (numbers: readonly number[]) => numbers.map((_, n) => n).sort((a, b) => numbers[a]! - numbers[b]! || a - b);
    const high = Math.max(...values);
    expect(places.map(([x]) => x)).toEqual(places.map(([x]) => x).sort((a, b) => a - b));
    expect(places[values.indexOf(high)]![1]).toBe(Math.min(...places.map(([, y]) => y)));
    expect(order(places.map(([, y]) => -y)).at(-1)).toBe(order(values).at(-1));
  });

  it('RPO has the promised line above what kept it', () => {
    for (const panel of all(section(pageOf(), 'RPO over time'), 'figure')) {
      const [promised] = all(panel, 'g', 'promised');
      const level = Number(/^M[\d.]+,([\d.]+)/.exec(attribute(all(promised!, 'path')[0]!, 'd')!)![1]);
      for (const reach of all(panel, 'circle', 'reach')) expect(Number(attribute(reach, 'cy'))).toBeGreaterThan(level);
      expect(textOf(promised!)).toMatch(/^promised \d+ (min|h|d)$/);
    }
    expect(all(section(pageOf(), 'RTO over time'), 'g', 'promised')).toEqual([]);
  });

  it('sizes: a line through the backups of each target, with the greatest and the least', () => {
    const panels = all(section(pageOf(), 'Stored size of backups'), 'figure');
    expect(panels.length).toBe(5);
    const points = panels.map(panel => attribute(all(panel, 'path', 'line')[0]!, 'd')!.split(/[ML]/).length - 1);
    expect(points.filter(count => count === 90).length).toBe(4);
    expect(points[2]).toBeGreaterThan(200);
    expect(points[2]).toBeLessThanOrEqual(302);
  });

  it('the calendar has a cell per day and one coloured for each day with a drill', () => {
    const calendar = section(pageOf(), 'Calendar of drills');
    expect(all(calendar, 'svg', 'month').length).toBe(18);
    expect(all(calendar, 'g', 'day').length).toBe(548);
    expect([all(calendar, 'g', 'passed').length, all(calendar, 'g', 'failed').length, all(calendar, 'g', 'unproven').length]).toEqual([
      16, 1, 1,
    ]);
    const [failed] = all(calendar, 'g', 'failed');
    expect(textOf(failed!)).toContain('2026-04-01: full-dr failed');
  });

  it('of two drills on one day the worst shows', () => {
    const [first, second] = [drill(3, 'failed'), { ...drill(3), startedAt: '2025-09-01T20:00:00.000Z' }];
    const calendar = section(pageOf({ drills: [first, second] }), 'Calendar of drills');
    expect(all(calendar, 'g', 'failed').length).toBe(1);
    expect(all(calendar, 'g', 'passed').length).toBe(0);
  });

  it('one drill alone is a mark in each plot', () => {
    const page = pageOf({ drills: [drill(17)] });
    for (const panel of all(section(page, 'RTO over time'), 'figure')) {
      expect(all(panel, 'g', 'mark').length).toBe(1);
      expect(attribute(all(panel, 'circle', 'reach')[0]!, 'cx')).toBe('199');
    }
  });
});
