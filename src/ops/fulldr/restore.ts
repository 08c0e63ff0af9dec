import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Reached, StackContext } from '../../core/contracts.ts';
import { BkpError, type ExitName, sentence } from '../../core/errors.ts';
import type { Journal } from '../../core/journal.ts';
import { blockedBy } from '../../core/waves.ts';
import { exclusive } from '../../flow/exclusive.ts';
import { exists, INCOMPLETE } from '../../flow/place.ts';
import { markRestoring, unmarkRestoring } from '../records/restoring.ts';
import { restoreTarget } from '../restore.ts';
import { type Forecast, forecast } from './forecast.ts';
import { closeJournal, Recorder, readJournal, writeJournal } from './journal.ts';
import { isSame, type Part, partName } from './part.ts';
import { preflight, type Ready, requestOf, type Way } from './preflight.ts';
import { makeShared } from './shared.ts';
import { asItStands, stepsOf } from './steps.ts';

/** What a restore of the whole stack was asked for. */
export interface StackRequest extends Way {
  /** The request in words, the same for the same request: by it an unfinished journal is known. */
  words: string;
  /** Id of this run. */
  id: string;
  /** File of this host that says how far it has come. */
  journal: string;
  /** An unfinished journal is put aside, and everything is begun anew. */
  restart: boolean;
  dryRun: boolean;
  /** Takes a backup of what the running source of a part holds now. @returns its id */
  secure(part: Part): Promise<string>;
  /** Asked once, with the plan of everything. */
  confirm(lines: readonly string[]): Promise<void>;
  /** The plan of everything for a person. */
  runbook(ready: readonly Ready[], resumed: Journal | undefined, forecast: Forecast | undefined): string[];
}

/** What became of one part. */
export interface PartResult {
  kind: string;
  name: string;
  wave: number;
  state: 'back' | 'failed' | 'blocked';
  /** It was back before this run. */
  before?: boolean;
  exit: ExitName;
  to: string;
  reachedAt?: string;
  seconds?: number;
  error?: string;
  differs?: readonly string[];
  next: readonly string[];
}

export interface StackResult {
  parts: PartResult[];
  /** Where the journal is now. */
  journal: string;
  /** After a dry run: nothing was done. */
  plan?: string[];
}

/** Takes away what a killed run left half filled; the mark goes last, so that this too can be killed. What has no mark is not touched. */
export async function clearIncomplete(place: string): Promise<boolean> {
  if (!(await exists(join(place, INCOMPLETE)))) return false;
  for (const name of await readdir(place)) if (name !== INCOMPLETE) await rm(join(place, name), { recursive: true, force: true });
  await rm(join(place, INCOMPLETE));
  return true;
}

const begun = (stack: StackContext, request: StackRequest): Omit<Journal, 'steps'> => ({
  version: 1,
  id: request.id,
  env: stack.env,
  asked: request.words,
  startedAt: stack.clock.now().toISOString(),
});

/** The journal of this very request, if one was cut short. Throws BkpError('conflict') when it is of another request. */
async function unfinished(stack: StackContext, request: StackRequest): Promise<Journal | undefined> {
  const found = await readJournal(request.journal);
  if (!found || request.restart) return undefined;
  if (found.asked === request.words) return asItStands(stack, found);
  throw new BkpError(
    'conflict',
    `a restore of full-dr that began ${found.startedAt} is not over, and was asked for something else: ${found.asked}`,
    {
      next: [
        'the same command as then goes on with it',
        '--restart begins anew; what is back already stays where it is',
        `it stands in ${request.journal}`,
      ],
    },
  );
}

async function restorePart(ready: Ready, request: StackRequest, recorder: Recorder): Promise<Reached | undefined> {
  const { part } = ready;
  if ('error' in part.opened) throw part.opened.error;
  const { target, ctx } = part.opened;
  const began = ctx.clock.now().getTime();
  await recorder.write(part, { state: 'begun' });
  try {
    const asked = { ...requestOf(ready, request, false), ...(ready.online ? { secure: () => request.secure(part) } : {}) };
    const reached = await restoreTarget(target, ctx, asked, request.random(16));
    const seconds = Math.round((ctx.clock.now().getTime() - began) / 100) / 10;
    const at = reached?.at?.toISOString();
    await recorder.write(part, {
      state: 'back',
      seconds,
      next: [...(reached?.next ?? [])],
      ...(at ? { reachedAt: at } : {}),
      ...(reached?.differs ? { differs: [...reached.differs] } : {}),
    });
    return reached;
  } catch (error) {
    // Ended by a signal it is as if killed: the journal says that it had begun.
    if (!ctx.signal.aborted) await recorder.write(part, { state: 'failed', error: sentence(error) });
    throw error;
  }
}

/** Wave by wave; within one, side by side. What waits for a part that failed is not begun. */
async function work(stack: StackContext, ready: readonly Ready[], all: readonly Part[], request: StackRequest, recorder: Recorder) {
  const failed = new Map<Part, unknown>();
  const waves = Math.max(...recorder.journal.steps.map(({ wave }) => wave)) + 1;
  for (let n = 0; n < waves; n += 1) {
    const blocked = blockedBy([...failed.keys()], all);
    const due = ready.filter(({ part }) => recorder.journal.steps.find(step => isSame(step, part))?.wave === n && !blocked.includes(part));
    await Promise.all(
      due.map(each =>
        restorePart(each, request, recorder).catch(error => {
          failed.set(each.part, error);
          if (!stack.signal.aborted)
            stack.report.emit({ type: 'warning', text: `${partName(each.part)} did not come back: ${sentence(error)}` });
        }),
      ),
    );
    stack.signal.throwIfAborted();
  }
  return { failed, blocked: blockedBy([...failed.keys()], all) };
}

function resultsOf(
  journal: Journal,
  before: Journal | undefined,
  { failed, blocked }: { failed: ReadonlyMap<Part, unknown>; blocked: readonly Part[] },
): PartResult[] {
  return journal.steps.map(step => {
    const { kind, name, wave, to, reachedAt, seconds, next = [] } = step;
    const known = { kind, name, wave, to, ...(reachedAt ? { reachedAt } : {}), ...(seconds === undefined ? {} : { seconds }) };
    const error = [...failed].find(([part]) => isSame(part, step))?.[1];
    if (error !== undefined)
      return {
        ...known,
        state: 'failed',
        exit: error instanceof BkpError ? error.exit : 'failed',
        error: sentence(error),
        next: error instanceof BkpError ? error.next : [],
      };
    const waits = blocked.find(part => isSame(part, step));
    if (waits)
      return { ...known, state: 'blocked', exit: 'failed', error: `it waits for ${[...failed.keys()].map(partName).join(', ')}`, next: [] };
    const was = before?.steps.find(each => isSame(each, step))?.state === 'back';
    return {
      ...known,
      state: 'back',
      exit: step.differs ? 'partial' : 'done',
      next,
      ...(step.differs ? { differs: step.differs } : {}),
      ...(was ? { before: true } : {}),
    };
  });
}

/** Nothing of a run that was cut short stands in the way of the next one. */
async function clearPlaces(stack: StackContext, journal: Journal): Promise<void> {
  for (const { kind, name, state, places } of journal.steps) {
    if (state === 'back' || state === 'waiting') continue;
    for (const place of places)
      if (await clearIncomplete(place))
        stack.report.emit({ type: 'note', text: `${kind}/${name}: what the run before left half filled in ${place} is gone` });
  }
}

/**
 * Brings the whole stack back, wave by wave, after everything was looked at. A run that is cut short, however hard, is gone on with by the
 * same request: what is back stays, what was half done is begun anew.
 * @param stack the environment that is restored into: its stores get the mark that holds back backups and prune
 * @throws BkpError('refused') with all that stands in the way, before anything changes; 'conflict' when another request is not over,
 *   or another run is at it; the signal's reason
 */
export async function restoreStack(stack: StackContext, parts: readonly Part[], request: StackRequest): Promise<StackResult> {
  if (request.dryRun) return perform(stack, parts, request);
  // A second one would take what the first is at for what a killed run left, and clear it away.
  const free = await exclusive(
    'restore-full-dr',
    [request.journal],
    `a restore of full-dr is under way on this host, as ${request.journal} says how far it is`,
  );
  try {
    return await perform(stack, parts, request);
  } finally {
    await free();
  }
}

async function perform(stack: StackContext, parts: readonly Part[], request: StackRequest): Promise<StackResult> {
  const before = await unfinished(stack, request);
  const left = parts.filter(part => before?.steps.find(step => isSame(step, part))?.state !== 'back');
  if (before && !request.dryRun) await clearPlaces(stack, before);
  const ready = await preflight(left, request, before);
  const plan = request.runbook(ready, before, await forecast(stack, left));
  if (request.dryRun) return { parts: [], journal: request.journal, plan };
  await request.confirm(plan);
  // First, since what cannot be made is no restore that is to be gone on with, and holds nothing back.
  await makeShared(
    ready.flatMap(({ places }) => places),
    request.root,
  );
  const steps = stepsOf(parts, ready, before?.steps);
  const recorder = new Recorder(request.journal, { ...(before ?? begun(stack, request)), steps });
  await writeJournal(request.journal, recorder.journal);
  await markRestoring(stack, recorder.journal.id, stack.clock.now());
  const outcome = await work(stack, ready, parts, request, recorder);
  const results = resultsOf(recorder.journal, before, outcome);
  if (outcome.failed.size > 0) return { parts: results, journal: request.journal };
  // The journal goes last: as long as it is there, the same command ends what is left to do.
  await unmarkRestoring(stack);
  return { parts: results, journal: await closeJournal(request.journal, recorder.journal) };
}
