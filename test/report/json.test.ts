import { expect, test } from '@jest/globals';
import type { Event } from '../../src/core/contracts.ts';
import { JsonReporter } from '../../src/report/json.ts';

/** A reporter whose clock stands where it is put. */
function reporter(): { report: JsonReporter; lines: string[]; at(ms: number): void } {
  const lines: string[] = [];
  let now = 1_768_000_000_000;
  const report = new JsonReporter(line => lines.push(line), { now: () => new Date(now), sleep: async () => {} });
  return {
    report,
    lines,
    at: ms => {
      now = 1_768_000_000_000 + ms;
    },
  };
}

test('each event is one object on one line, with its type and fields as they are', () => {
  const { report, lines } = reporter();
  const events: Event[] = [
    { type: 'started', what: 'backup postgres/app' },
    { type: 'progress', what: 'base.tar', bytes: 1, total: 2 },
    { type: 'finished', what: 'backup postgres/app', bytes: 2, ms: 3 },
    { type: 'note', text: 'two\nlines and "quotes"' },
    { type: 'warning', text: 'careful' },
  ];
  for (const event of events) report.emit(event);
  expect(lines.map(line => JSON.parse(line))).toEqual(events);
  for (const line of lines) expect(line).not.toContain('\n');
});

test('progress comes at most once a second, and nothing else is ever left out', () => {
  const { report, lines, at } = reporter();
  for (let ms = 0; ms <= 3000; ms += 100) {
    at(ms);
    report.emit({ type: 'progress', what: 'base.tar', bytes: ms });
    report.emit({ type: 'note', text: String(ms) });
  }
  const seen = lines.map(line => JSON.parse(line) as Event);
  expect(seen.flatMap(event => (event.type === 'progress' ? [event.bytes] : []))).toEqual([0, 1000, 2000, 3000]);
  expect(seen.filter(event => event.type === 'note')).toHaveLength(31);
});
