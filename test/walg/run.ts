import type { Args } from './args.ts';
import type { Codec } from './codec.ts';
import type { Folder } from './folder.ts';
import type { Settings } from './settings.ts';

/** What a command works with. */
export interface Run {
  args: Args;
  settings: Settings;
  folder: Folder;
  codec: Codec;
}
