import type { Evidence, TargetEvidence } from '../../core/evidence.ts';
import type { ReportMaterial } from '../../core/reportMaterial.ts';
import { formatInstant } from '../format.ts';
import { clean } from './markup.ts';
import { cameBack, formatMoment, formatSpan, RESULT, STATE, spanOr, subject, titleOf, tookSeconds } from './words.ts';

const SIGN = { passed: '✅', failed: '❌', unproven: '⚠️' } as const;

/** Text in one line, where nothing of it is Markdown, HTML or a link. */
export const inline = (text: string): string =>
  clean(text)
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[\\`*_{}[\]()#+!|~$]/g, '\\$&')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/@/g, '&#64;')
    .replace(/:\/\//g, ':\\/\\/')
    .replace(/www\./gi, match => `${match.slice(0, -1)}\\.`);

/** A block of code inside a list; its fence is longer than any run of backticks in it. */
function fenced(text: string): string[] {
  const lines = clean(text).split('\n');
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return ['', `  ${fence}text`, ...lines.map(line => `  ${line}`), `  ${fence}`, ''];
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

function targetRow(target: TargetEvidence): string {
  const { wave, result, skipped, store, backup, recoveryPointAt, rtoSeconds, rpoSeconds, rpoPromisedSeconds } = target;
  return row([
    String(wave + 1),
    inline(titleOf(target)),
    `${SIGN[result]} ${RESULT[result].word}${skipped === undefined ? '' : `: ${inline(skipped)}`}`,
    [store, backup].flatMap(each => (each === undefined ? [] : [inline(each)])).join(' ') || '-',
    recoveryPointAt ? formatInstant(new Date(recoveryPointAt)) : '-',
    spanOr(rtoSeconds),
    `${spanOr(rpoSeconds)}${rpoPromisedSeconds === undefined ? '' : ` of ${formatSpan(rpoPromisedSeconds)}`}`,
  ]);
}

const TABLE = ['Wave', 'Target', 'Result', 'Store and backup', 'Recovery point', 'RTO', 'RPO of what is promised'];

const targets = (drill: Evidence): string[] => [
  row(TABLE),
  row(TABLE.map(() => '---')),
  ...[...drill.targets].sort((a, b) => a.wave - b.wave).map(targetRow),
];

/** What did not pass, with what mends it. */
function trouble({ targets: all }: Evidence): string[] {
  const lines = all.flatMap(target =>
    target.checks
      .filter(({ state }) => state === 'fail' || state === 'unproven')
      .flatMap(({ name, state, text, mend }) => [
        `- ${SIGN[STATE[state].of as 'failed' | 'unproven']} **${inline(titleOf(target))}**, ${inline(name)}: ${inline(text)}`,
        ...(mend === undefined ? [] : fenced(mend)),
      ]),
  );
  return lines.length > 0 ? ['', '### What did not pass', '', ...lines] : [];
}

/** Checks that passed, by target, folded. */
function passed({ targets: all }: Evidence): string[] {
  const rows = all.flatMap(target =>
    target.checks
      .filter(({ state }) => state === 'ok' || state === 'note')
      .map(({ name, state, text, seconds }) => row([inline(titleOf(target)), inline(name), state, inline(text), spanOr(seconds)])),
  );
  if (rows.length === 0) return [];
  const head = ['Target', 'Check', 'State', 'What it showed', 'Took'];
  return [
    '',
    `<details><summary>${rows.length} checks that passed</summary>`,
    '',
    row(head),
    row(head.map(() => '---')),
    ...rows,
    '',
    '</details>',
  ];
}

const left = ({ leftOut }: ReportMaterial): string[] =>
  leftOut.length > 0 ? ['', '### Left out', '', ...leftOut.map(text => `- ⚠️ ${inline(text)}`)] : [];

/** The newest drill as Markdown, for the summary of a job at GitHub or GitLab and for a chat. */
export function markdown(material: ReportMaterial): string {
  const drill = material.drills.at(-1);
  const lines = drill
    ? [
        `## ${SIGN[drill.result]} Drill ${RESULT[drill.result].word}: ${inline(subject(drill))}`,
        '',
        `Begun ${formatMoment(drill.startedAt, material.at)}, took ${formatSpan(tookSeconds(drill))}; ${cameBack(drill)}. Drill ${drill.id}${
          drill.set === undefined ? '' : `, set ${drill.set}`
        }, by ${inline(drill.tool)}.`,
        '',
        ...targets(drill),
        ...trouble(drill),
        ...passed(drill),
      ]
    : [`## ⚠️ No drill of ${inline(material.env)} yet`, '', 'No drill is on record, so nothing shows that its backups come back.'];
  return `${[...lines, ...left(material)].join('\n')}\n`;
}
