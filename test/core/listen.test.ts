import { describe, expect, it } from '@jest/globals';
import { ownFigures, parseAddress, staleness } from '../../src/core/status/listen.ts';

describe('an address to listen at', () => {
  it.each([
    ['9187', '127.0.0.1', 9187, true],
    [':9187', '127.0.0.1', 9187, true],
    ['localhost:9187', '127.0.0.1', 9187, true],
    ['127.0.0.2:1', '127.0.0.2', 1, true],
    ['0.0.0.0:65535', '0.0.0.0', 65535, false],
    ['[::1]:9187', '::1', 9187, true],
    ['[::]:9187', '::', 9187, false],
  ])('%s', (text, host, port, loopback) => expect(parseAddress(text)).toEqual({ host, port, loopback }));

  it.each([
    '',
    'nonsense',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '1.2.3:80',
    '999.1.1.1:80',
    'example.org:80',
    '::1:9187',
    '[127.0.0.1]:80',
    'http://127.0.0.1:80',
    ':-1',
  ])('%s is refused', text => expect(() => parseAddress(text)).toThrow(expect.objectContaining({ exit: 'usage' })));
});

describe('what a watcher knows', () => {
  it.each([
    [{}, 'nothing was looked at yet'],
    [{ goodAt: 100_000 }, undefined],
    [{ goodAt: 100_000, error: 'no store answers' }, 'the last look failed: no store answers'],
    [{ goodAt: -200_001 }, /^the last look is 380 s old/],
  ])('%j', (looked, why) => {
    const said = staleness(looked, 60_000, 180_000);
    if (why instanceof RegExp) expect(said).toMatch(why);
    else expect(said).toBe(why);
    const figures = ownFigures('prod', looked, 60_000, 180_000);
    expect(figures).toContain(`bkp_up{env="prod"} ${why === undefined ? 1 : 0}\n`);
    if (!('goodAt' in looked)) expect(figures).not.toContain('bkp_look_age_seconds');
  });

  it('the age is that of the last good look', () =>
    expect(ownFigures('prod', { goodAt: 100_000, error: 'x', tookMs: 1500 }, 60_000, 180_000)).toMatch(
      /bkp_look_age_seconds\{env="prod"\} 80\n[\s\S]*bkp_look_duration_seconds\{env="prod"\} 1.5\n/,
    ));
});
