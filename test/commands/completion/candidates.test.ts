import { describe, expect, it } from '@jest/globals';
import { candidates, type Live } from '../../../src/commands/completion/candidates.ts';
import { build } from '../../../src/main.ts';

const word = (text: string) => ({ word: text });
const live: Live = {
  environments: async () => [word('production'), word('staging')],
  kinds: async () => [word('postgres'), word('redis')],
  names: async kind => (kind === 'postgres' ? [word('app'), word('shop')] : []),
  stores: async () => [word('local'), word('offsite')],
  ids: async (kind, name) => [{ word: '20260115T020000Z-aaaaaa', text: `${kind}/${name}` }],
};
const offered = async (...words: string[]) => (await candidates(build(), words, live))?.map(each => each.word);

describe('what could be typed next', () => {
  it.each<[string[], string[]]>([
    [['rest'], ['restore']],
    [
      ['locks', ''],
      ['list', 'release'],
    ],
    [['restore', 'p'], ['postgres']],
    ...['backup', 'restore', 'list', 'drill'].map((verb): [string[], string[]] => [[verb, 'f'], ['full-dr']]),
    [['verify', 'f'], []],
    [['restore', 'full-dr', ''], []],
    [['--env', 'st'], ['staging']],
    [['--env', 'staging', 'restore', 'postgres', 's'], ['shop']],
    [
      ['restore', 'postgres', '--from', ''],
      ['local', 'offsite'],
    ],
    [['restore', 'postgres', 'app', '--from-backup', '2'], ['20260115T020000Z-aaaaaa']],
    [['restore', '--dry-run', 'postgres', 'ap'], ['app']],
    [['restore', 'postgres', '--dry'], ['--dry-run']],
    [['completion', 'f'], ['fish']],
    [['nonsense', ''], []],
  ])('%j → %j', async (words, wanted) => expect(await offered(...words)).toEqual(wanted));

  it("files are the shell's to offer", async () => {
    expect(await offered('restore', 'postgres', '--to', '')).toBeUndefined();
    expect(await offered('--config', './b')).toBeUndefined();
  });

  it('an id is looked for where the words point to', async () => {
    const found = await candidates(build(), ['restore', 'postgres', 'shop', '--from-backup', ''], live);
    expect(found?.map(each => each.text)).toEqual(['the newest', 'postgres/shop']);
  });
});
