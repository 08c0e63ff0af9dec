import type { App, GlobalOptions } from '../app.ts';
import type { Reporter } from '../core/contracts.ts';
import type { ExitName } from '../core/errors.ts';
import type { Outcome, Task } from '../core/notify/types.ts';

/** What a command's action has to hand before any config is read. */
export interface BareSession {
  options: GlobalOptions;
  report: Reporter;
  signal: AbortSignal;
  version: string;
  /** The result of the command: text for a person, or one JSON object as the last line. */
  result(json: Record<string, unknown>, text: readonly string[]): void;
}

/** What a command's action has to hand, beside its own flags. */
export interface Session extends BareSession {
  app: App;
  /** What it came to for one target, for those who are told of it. */
  outcome(outcome: Outcome): void;
}

/** Runs an action within a session; what it returns is how the process ends. With a task, the notifiers are told of it. */
export type Run = (action: (session: Session) => Promise<ExitName>, task?: Task) => Promise<void>;

/** `run`, of which the notifiers are told when there is a task. */
export const noticed =
  (run: Run, task: Task | undefined): Run =>
  action =>
    run(action, task);

/** As `Run`, for what works without a config. */
export type BareRun = (action: (session: BareSession) => Promise<ExitName>) => Promise<void>;

/** From harmless to worst: what a person has to look at first decides how a run over several targets ends. */
const BY_WEIGHT: readonly ExitName[] = [
  'done',
  'partial',
  'notFound',
  'unhealthy',
  'aborted',
  'conflict',
  'refused',
  'usage',
  'storeUnreachable',
  'failed',
  'verifyFailed',
  'interrupted',
  'terminated',
];

/** The worst of several ends, by weight and not by order: damage beats a failure, and that beats a partial success. */
export const worst = (ends: readonly ExitName[]): ExitName =>
  ends.reduce((a, b) => (BY_WEIGHT.indexOf(b) > BY_WEIGHT.indexOf(a) ? b : a), 'done' as ExitName);

/** The end of what was done for several: where only some of them lack a setting, such as a secret, the others were done. */
export function partly(ends: readonly ExitName[]): ExitName {
  const others = ends.filter(end => end !== 'usage');
  return worst(others.length === 0 || others.length === ends.length ? ends : [...others, 'partial']);
}

/** For the end of every help text. */
export const EXIT_HELP = [
  '',
  'Exit codes: 0 done; 1 failed; 2 usage or config; 3 partial (fewer copies than wanted); 4 refused before anything',
  'changed; 5 aborted by you; 6 not found; 7 conflict or lock; 8 store unreachable; 9 verification failed; 10 late or',
  'unhealthy; 130/143 ended by a signal.',
].join('\n');
