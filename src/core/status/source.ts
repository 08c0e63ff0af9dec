import type { SourceFacts, SourceStatus, Why } from './types.ts';
import { stateOf } from './verdict.ts';

const whyOf = ({ name, state, text, mend }: SourceFacts['checks'][number]): Why[] =>
  state === 'ok'
    ? []
    : [{ state: state === 'fail' ? 'failing' : 'ok', text: `${name}: ${text}${state === 'fail' && mend ? ` → ${mend}` : ''}` }];

/**
 * What the running source says of its archiver, its slot and the like: a failing check is red (MO07). A source that does not answer is
 * unknown: whether backups are late is told by the stores.
 */
export function sourceStatus({ error, checks, lineage, position }: SourceFacts): SourceStatus {
  const why: Why[] =
    error === undefined ? checks.flatMap(whyOf) : [{ state: 'unknown', text: `the source could not be asked how it is: ${error}` }];
  return { state: stateOf(why), why, checks, ...(lineage ? { lineage } : {}), ...(position ? { position } : {}) };
}
