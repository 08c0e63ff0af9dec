import { expect, test } from '@jest/globals';
import { progressText } from '../../src/report/progress.ts';

const MIB = 1024 ** 2;

test('what, how much of how much, how fast, and how long it takes', () => {
  expect(progressText('base.tar', 50 * MIB, { total: 200 * MIB }, 10_000)).toBe('base.tar: 50.0 MiB of 200 MiB, 5.0 MiB/s, 30 s left');
});

test('a total that is not known is left out, and so is the time', () => {
  expect(progressText('base.tar', 50 * MIB, {}, 10_000)).toBe('base.tar: 50.0 MiB, 5.0 MiB/s');
});

test('at the very start there is no rate yet, and no division by nothing', () => {
  expect(progressText('replay', 0, { total: 16 * MIB }, 0)).toBe('replay: 0 B of 16.0 MiB, 0 B/s');
  expect(progressText('replay', 0, { total: 16 * MIB }, 5000)).toBe('replay: 0 B of 16.0 MiB, 0 B/s');
});

test('at the end, or past a total that was only estimated, no time is left', () => {
  expect(progressText('x', 16 * MIB, { total: 16 * MIB }, 1000)).toBe('x: 16.0 MiB of 16.0 MiB, 16.0 MiB/s');
  expect(progressText('x', 17 * MIB, { total: 16 * MIB }, 1000)).toBe('x: 17.0 MiB of 16.0 MiB, 17.0 MiB/s');
});

test('as much as the time before is about how much it will be, until it is more', () => {
  expect(progressText('base.tar', 50 * MIB, { expected: 200 * MIB }, 10_000)).toBe(
    'base.tar: 50.0 MiB of about 200 MiB, 5.0 MiB/s, 30 s left',
  );
  expect(progressText('base.tar', 201 * MIB, { expected: 200 * MIB }, 10_000)).toBe('base.tar: 201 MiB, 20.1 MiB/s');
  expect(progressText('base.tar', 50 * MIB, { total: 100 * MIB, expected: 200 * MIB }, 10_000)).toContain('of 100 MiB');
});
