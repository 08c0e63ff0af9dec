import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import ora from 'ora';
import { TextReporter } from '../../src/report/text.ts';

interface Seen {
  report: TextReporter;
  text(): string;
  at(ms: number): void;
}

/** A reporter whose clock stands where it is put; `tty` makes its stream look like a terminal. */
function reporter(options: { color?: boolean; quiet?: boolean; tty?: boolean; redact?(text: string): string } = {}): Seen {
  const stream = new PassThrough() as unknown as NodeJS.WriteStream;
  if (options.tty) Object.assign(stream, { isTTY: true, columns: 100, cursorTo() {}, clearLine() {}, moveCursor() {} });
  let all = '';
  stream.on('data', chunk => {
    all += chunk;
  });
  let now = 1_768_000_000_000;
  const report = new TextReporter({
    stream,
    ora,
    clock: { now: () => new Date(now), sleep: async () => {} },
    color: options.color ?? false,
    quiet: options.quiet ?? false,
    redact: options.redact ?? (text => text),
  });
  return {
    report,
    text: () => all,
    at: ms => {
      now = 1_768_000_000_000 + ms;
    },
  };
}

const MIB = 1024 ** 2;
const ESCAPE = '\u001b';

function all(report: TextReporter): void {
  report.emit({ type: 'started', what: 'backup postgres/app' });
  report.emit({ type: 'note', text: 'a note' });
  report.emit({ type: 'warning', text: 'careful' });
  report.emit({ type: 'finished', what: 'backup postgres/app', bytes: 3 * MIB, ms: 61_000 });
}

test('without colour every line is plain text', () => {
  const { report, text } = reporter();
  all(report);
  expect(text()).toBe('start   backup postgres/app\na note\nwarning careful\ndone    backup postgres/app, 3.0 MiB stored in 1 min\n');
});

test('with colour the same words, and escapes around them', () => {
  const plain = reporter();
  const coloured = reporter({ color: true });
  all(plain.report);
  all(coloured.report);
  expect(coloured.text()).toContain(ESCAPE);
  expect(coloured.text().replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '')).toBe(plain.text());
});

test('quiet leaves warnings, and only these', () => {
  const { report, text } = reporter({ quiet: true });
  all(report);
  report.emit({ type: 'progress', what: 'base.tar', bytes: 1 });
  expect(text()).toBe('warning careful\n');
});

test('secrets are taken out of every kind of line', () => {
  const { report, text, at } = reporter({ redact: line => line.replaceAll('s3cret', '[redacted]') });
  report.emit({ type: 'started', what: 's3cret' });
  report.emit({ type: 'note', text: 's3cret' });
  report.emit({ type: 'warning', text: 's3cret' });
  report.emit({ type: 'progress', what: 's3cret', bytes: 1 });
  at(60_000);
  report.emit({ type: 'progress', what: 's3cret', bytes: 2 });
  report.emit({ type: 'finished', what: 's3cret' });
  expect(text()).not.toContain('s3cret');
  expect(text().match(/\[redacted\]/g)).toHaveLength(5);
});

describe('progress where there is no terminal', () => {
  test('is a plain line every minute, with the rate since the beginning', () => {
    const { report, text, at } = reporter();
    for (let ms = 0; ms <= 121_000; ms += 500) {
      at(ms);
      report.emit({ type: 'progress', what: 'base.tar', bytes: (ms / 1000) * MIB, total: 1000 * MIB });
    }
    expect(text().split('\n').filter(Boolean)).toEqual([
      'base.tar: 60.0 MiB of 1000 MiB, 1.0 MiB/s, 15 min left',
      'base.tar: 120 MiB of 1000 MiB, 1.0 MiB/s, 14 min left',
    ]);
  });

  test('a second backup in one run has a rate of its own, though its piece has the same name', () => {
    const { report, text, at } = reporter();
    report.emit({ type: 'started', what: 'backup postgres/one' });
    report.emit({ type: 'progress', what: 'base.tar', bytes: 0 });
    at(600_000);
    report.emit({ type: 'finished', what: 'backup postgres/one' });
    report.emit({ type: 'started', what: 'backup postgres/two' });
    report.emit({ type: 'progress', what: 'base.tar', bytes: 0 });
    at(660_000);
    report.emit({ type: 'progress', what: 'base.tar', bytes: 60 * MIB });
    expect(text()).toContain('base.tar: 60.0 MiB, 1.0 MiB/s');
  });
});

describe('progress on a terminal', () => {
  test('is a spinner, which is gone before the next line and at the end', () => {
    const { report, text } = reporter({ tty: true });
    report.emit({ type: 'progress', what: 'base.tar', bytes: MIB, total: 4 * MIB });
    report.emit({ type: 'note', text: 'a note' });
    expect(text()).toContain('a note\n');
    report.emit({ type: 'progress', what: 'base.tar', bytes: 2 * MIB, total: 4 * MIB });
    report.close();
    const end = text();
    report.close();
    expect(text()).toBe(end);
  });

  test('what still comes in after the end starts nothing again: a spinner would keep the process alive', () => {
    const { report, text } = reporter({ tty: true });
    report.emit({ type: 'progress', what: 'base.tar', bytes: MIB });
    report.close();
    const end = text();
    report.emit({ type: 'progress', what: 'base.tar', bytes: 2 * MIB });
    const after = text();
    report.close();
    expect(after).toBe(end);
  });
});
