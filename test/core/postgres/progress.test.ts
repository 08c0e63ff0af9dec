import { describe, expect, it } from '@jest/globals';
import { Progress } from '../../../src/core/postgres/progress.ts';

const PATIENCE = 20_000;
const at = (seconds: number, flushed: number, touched: number) => ({ now: seconds * 1000, flushed: BigInt(flushed), touched });

describe('a receiver that hangs', () => {
  it('is one that gets nothing although the server goes on', () => {
    const progress = new Progress(PATIENCE);
    expect(progress.look(at(0, 100, 1))).toBeUndefined();
    expect(progress.look(at(10, 200, 1))).toBeUndefined();
    expect(progress.look(at(21, 200, 1))).toBe(21_000);
  });

  it('is none while the server is idle, however long', () => {
    const progress = new Progress(PATIENCE);
    for (let seconds = 0; seconds < 600; seconds += 5) expect(progress.look(at(seconds, 100, 1))).toBeUndefined();
    expect(progress.look(at(605, 200, 1))).toBeUndefined();
    expect(progress.look(at(630, 200, 1))).toBe(35_000);
  });

  it('is none while something comes, however slowly', () => {
    const progress = new Progress(PATIENCE);
    for (let n = 0; n < 50; n += 1) expect(progress.look(at(n * 15, n * 1000, n))).toBeUndefined();
  });
});
