import type { Clock, Reporter } from '../../core/contracts.ts';
import { sentence } from '../../core/errors.ts';
import type { DrillResult, Evidence, TargetEvidence } from '../../core/evidence.ts';
import { makeId } from '../../core/id.ts';
import { blockedBy, type Member, wavesOf } from '../../core/waves.ts';
import { type Drilled, type DrillOptions, drillTarget } from './one.ts';

/** One entry of the environment; it is opened when its turn comes, and what keeps it from being opened is its result. */
export interface Entry extends Member {
  engine: string;
  open(): Drilled;
}

export interface DrillRun extends DrillOptions {
  /** Whose backups are tried, and in which environment of the config. */
  env: string;
  drilledIn: string;
  /** `full-dr`, `kind` or `kind/name`. */
  scope: string;
  tool: string;
  clock: Pick<Clock, 'now'>;
  report: Reporter;
  signal: AbortSignal;
}

const WORST: readonly DrillResult[] = ['passed', 'unproven', 'failed'];

/** The worst of several results; of none it is `failed`: nothing was tried. */
export const worstResult = (results: readonly DrillResult[]): DrillResult =>
  results.length === 0 ? 'failed' : results.reduce((a, b) => (WORST.indexOf(b) > WORST.indexOf(a) ? b : a));

const called = ({ kind, name }: { kind: string; name: string }): string => `${kind}/${name}`;

/** What is not tried, since what it waits for did not come back. */
const blocked = ({ kind, name, engine }: Entry, wave: number, failed: readonly Entry[]): TargetEvidence => ({
  kind,
  name,
  engine,
  wave,
  result: 'failed',
  skipped: `it waits for ${failed.map(called).join(', ')}, which did not come back`,
  checks: [],
});

async function drilled(entry: Entry, wave: number, run: DrillRun, startedAt: Date, opened: Drilled[]): Promise<TargetEvidence[]> {
  try {
    const each = entry.open();
    opened.push(each);
    return await drillTarget(each, wave, run, startedAt);
  } catch (error) {
    run.signal.throwIfAborted();
    const { kind, name, engine } = entry;
    return [{ kind, name, engine, wave, result: 'failed', skipped: sentence(error), checks: [] }];
  }
}

/**
 * Restores every entry in the order in which the stack comes back, each on servers of its own, and tries it. A failed one stops only what
 * waits for it.
 * @param entries at least one
 * @returns what it showed, and the targets that could be opened, in whose stores it may be kept
 * @throws the signal's reason: then there is nothing to be kept
 */
export async function drill(entries: readonly Entry[], run: DrillRun): Promise<{ evidence: Evidence; opened: Drilled[] }> {
  const startedAt = run.clock.now();
  const targets: TargetEvidence[] = [];
  const opened: Drilled[] = [];
  const failed: Entry[] = [];
  for (const [wave, members] of wavesOf(entries).waves.entries()) {
    const stopped = blockedBy(failed, entries);
    for (const entry of members) {
      run.signal.throwIfAborted();
      const why = failed.filter(each => blockedBy([each], entries).includes(entry));
      const found = stopped.includes(entry) ? [blocked(entry, wave, why)] : await drilled(entry, wave, run, startedAt, opened);
      targets.push(...found);
      if (!stopped.includes(entry) && found.some(({ result }) => result === 'failed')) failed.push(entry);
    }
  }
  const { env, drilledIn, scope, tool } = run;
  const evidence: Evidence = {
    version: 1,
    id: makeId(startedAt, run.random(3)),
    env,
    drilledIn,
    scope,
    tool,
    startedAt: startedAt.toISOString(),
    finishedAt: run.clock.now().toISOString(),
    result: worstResult(targets.map(({ result }) => result)),
    targets,
  };
  return { evidence, opened };
}
