import { readFileSync } from 'node:fs';

/** Put in by the build; there is none in a run from the sources. */
declare const BKP_BUILD: About | undefined;

export interface About {
  version: string;
  /** Commit that it was built from; '' where that is not known. */
  commit: string;
}

const ofSources = (): About => ({
  version: JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version,
  commit: '',
});

/** What this program is. Throws only in a run from sources without a package.json. */
export const about = (): About => (typeof BKP_BUILD === 'undefined' ? ofSources() : BKP_BUILD);
