import { formatDuration } from '../core/age.ts';
import type { Evidence, TargetEvidence } from '../core/evidence.ts';

const WORD = { passed: 'PASSED', failed: 'FAILED', unproven: 'UNPROVEN' } as const;
const CHECK = { ok: '', note: 'note ', fail: 'FAIL ', unproven: 'UNPROVEN ' } as const;

const took = (seconds: number | undefined): string => (seconds === undefined ? '' : ` (${seconds} s)`);
/** Seconds to the tenth. */
const tenths = (seconds: number): string => `${Math.round(seconds * 10) / 10} s`;
const span = (seconds: number): string => formatDuration(seconds * 1000);

/** What an outage would have taken and lost; nothing of what did not come back. */
function objectives({ phases, rtoSeconds, rpoSeconds, rpoPromisedSeconds }: TargetEvidence): string[] {
  if (!phases || rtoSeconds === undefined || rpoSeconds === undefined) return [];
  const { fetch, restore, start, prove } = phases;
  const promised = rpoPromisedSeconds === undefined ? '' : ` (promised: ${span(rpoPromisedSeconds)})`;
  return [
    `back in ${tenths(rtoSeconds)}: fetched in ${tenths(fetch)}, restored in ${tenths(restore)}, started in ${tenths(start)}; looked through in ${tenths(prove)}`,
    `would have lost ${span(rpoSeconds)}${promised}`,
  ];
}

function targetText(target: TargetEvidence): string[] {
  const { kind, name, result, skipped, backup, store, checks } = target;
  const from = backup ? `: backup ${backup}${store ? ` out of ${store}` : ''}` : store ? ` in ${store}` : '';
  const lines = [
    ...(skipped ? [skipped] : []),
    ...objectives(target),
    ...checks.map(each => `${CHECK[each.state]}${each.name}: ${each.text}${took(each.seconds)}${each.mend ? ` → ${each.mend}` : ''}`),
  ];
  return [`${WORD[result].padEnd(8)}  ${kind}/${name}${from}`, ...lines.map(line => `          ${line.replace(/\s+/g, ' ')}`)];
}

/** What a drill showed, for a person: each target with what was tried, and a last line that says how it ended. */
export function drillText(evidence: Evidence): string[] {
  const { id, scope, env, drilledIn, result, targets } = evidence;
  const of = (wanted: TargetEvidence['result']) => targets.filter(each => each.result === wanted).length;
  const counts = (['failed', 'unproven', 'passed'] as const).filter(each => of(each) > 0).map(each => `${of(each)} ${each}`);
  const where = drilledIn === env ? env : `${env} in ${drilledIn}`;
  return [...targets.flatMap(targetText), `drill ${id} (${scope} of ${where}) ${result}: ${counts.join(', ')}`];
}
