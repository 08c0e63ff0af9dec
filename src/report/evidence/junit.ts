import type { DrillResult, Evidence, TargetEvidence } from '../../core/evidence.ts';
import type { ReportMaterial } from '../../core/reportMaterial.ts';
import { type Markup, markup } from './markup.ts';
import { RESULT, subject, titleOf, tookSeconds } from './words.ts';

/** How a test case ended; `error` = it could not be told. */
type End = 'passed' | 'failure' | 'error' | 'skipped';

interface Case {
  suite: string;
  name: string;
  end: End;
  message: string;
  /** Further lines: what mends it. */
  more?: string | undefined;
  seconds: number;
}

const END: Readonly<Record<DrillResult, End>> = { passed: 'passed', failed: 'failure', unproven: 'error' };
const END_OF_CHECK = { ok: 'passed', note: 'passed', fail: 'failure', unproven: 'error' } as const satisfies Record<string, End>;

/** What was not tried is skipped, but only where another one says that the drill did not pass: skipped tests alone are green in CI. */
function endOf({ result, skipped }: TargetEvidence, others: readonly TargetEvidence[]): End {
  const blamed = others.some(other => other.skipped === undefined && other.result !== 'passed');
  return skipped !== undefined && result !== 'passed' && blamed ? 'skipped' : END[result];
}

function casesOf(target: TargetEvidence, { targets, env }: Evidence): Case[] {
  const suite = `${env}/${titleOf(target)}`;
  const { phases, rtoSeconds = 0, skipped, result, checks } = target;
  const message = skipped === undefined ? RESULT[result].word : `not tried: ${skipped}`;
  return [
    { suite, name: 'comes back', end: endOf(target, targets), message, seconds: phases ? rtoSeconds : 0 },
    ...checks.map(({ name, state, text, mend, seconds = 0 }) => ({
      suite,
      name,
      end: END_OF_CHECK[state],
      message: text,
      more: mend,
      seconds,
    })),
  ];
}

const PLAIN: ReadonlySet<End> = new Set(['passed', 'skipped']);

const isRed = ({ end }: Case): boolean => !PLAIN.has(end);

function told({ end, message, more }: Case): Markup {
  const text = more === undefined ? message : `${message}\n${more}`;
  if (end === 'passed') return markup`<system-out>${text}</system-out>`;
  if (end === 'skipped') return markup`<skipped message="${message}"/>`;
  const [tag, type] = end === 'failure' ? [FAILURE, 'failed'] : [ERROR, 'unproven'];
  return markup`<${tag} message="${message}" type="${type}">${text}</${tag}>`;
}

const FAILURE = markup`failure`;
const ERROR = markup`error`;

const sum = (cases: readonly Case[]): string => cases.reduce((all, { seconds }) => all + seconds, 0).toFixed(3);
const count = (cases: readonly Case[], end: End): number => cases.filter(each => each.end === end).length;

/** Counts as CI systems add them up. */
const counts = (cases: readonly Case[]): Markup =>
  markup`tests="${cases.length}" failures="${count(cases, 'failure')}" errors="${count(cases, 'error')}"`;

const properties = (of: Readonly<Record<string, string | number | undefined>>): Markup => {
  const known = Object.entries(of).filter(([, value]) => value !== undefined);
  return markup`    <properties>${known.map(([name, value]) => markup`<property name="${name}" value="${value}"/>`)}</properties>\n`;
};

const suite = (name: string, at: string, cases: readonly Case[], head: Markup | undefined): Markup =>
  markup`  <testsuite name="${name}" ${counts(cases)} skipped="${count(cases, 'skipped')}" time="${sum(cases)}" timestamp="${at.slice(0, 19)}">
${head}${cases.map(
  each => markup`    <testcase classname="${each.suite}" name="${each.name}" time="${each.seconds.toFixed(3)}">${told(each)}</testcase>\n`,
)}  </testsuite>
`;

function suiteOf(target: TargetEvidence, drill: Evidence): { cases: Case[]; text: Markup } {
  const { store, backup, recoveryPointAt, rtoSeconds, rpoSeconds, rpoPromisedSeconds, wave, engine } = target;
  const head = properties({ wave, engine, store, backup, recoveryPointAt, rtoSeconds, rpoSeconds, rpoPromisedSeconds });
  const cases = casesOf(target, drill);
  return { cases, text: suite(`${drill.env}/${titleOf(target)}`, drill.startedAt, cases, head) };
}

/** One case that speaks for the whole: where no other is red although the drill did not pass, or there is no drill. */
function alone(name: string, at: string, end: End, message: string): { cases: Case[]; text: Markup } {
  const cases: Case[] = [{ suite: name, name: 'drill', end, message, seconds: 0 }];
  return { cases, text: suite(name, at, cases, undefined) };
}

function suites({ drills, env, at }: ReportMaterial): { cases: Case[]; text: Markup }[] {
  const drill = drills.at(-1);
  if (!drill) return [alone(env, at, 'error', `no drill of ${env} is on record: nothing shows that its backups come back`)];
  const found = drill.targets.map(target => suiteOf(target, drill));
  if (drill.result === 'passed' || found.some(({ cases }) => cases.some(isRed))) return found;
  return [...found, alone(drill.env, drill.startedAt, END[drill.result], `the drill of ${subject(drill)} ended as ${drill.result}`)];
}

/**
 * The newest drill as JUnit XML: a suite per target, a case for the target and one per check. A failed check is a failure, what could not be
 * tried an error; it is green only where the drill passed, and no drill at all is an error.
 */
export function junit(material: ReportMaterial): string {
  const drill = material.drills.at(-1);
  const found = suites(material);
  const cases = found.flatMap(each => each.cases);
  const name = drill ? `drill ${drill.id}, ${subject(drill)}` : `drills of ${material.env}`;
  return markup`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="${name}" ${counts(cases)} time="${(drill ? tookSeconds(drill) : 0).toFixed(3)}">
${found.map(({ text }) => text)}</testsuites>
`.text;
}
