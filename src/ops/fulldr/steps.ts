import { readdir } from 'node:fs/promises';
import type { StackContext } from '../../core/contracts.ts';
import type { Journal, JournalStep } from '../../core/journal.ts';
import { wavesOf } from '../../core/waves.ts';
import { isSame, type Part, partName } from './part.ts';
import type { Ready } from './preflight.ts';

const wantOf = (want: Ready['want']): JournalStep['want'] => ({
  ...(want.latest ? { latest: true } : {}),
  ...(want.backup ? { backup: want.backup } : {}),
  ...(want.time ? { time: want.time.toISOString() } : {}),
});

/**
 * What is to be done, wave by wave, as the config says now. What is back stays so; a place that is another one now holds nothing of ours.
 * @param before steps of the run that is gone on with
 */
export function stepsOf(parts: readonly Part[], ready: readonly Ready[], before: readonly JournalStep[] = []): JournalStep[] {
  const steps = wavesOf(parts).waves.flatMap((wave, n) =>
    wave.map((part): JournalStep => {
      const known = before.find(step => isSame(step, part));
      const due = ready.find(each => each.part === part);
      if (!due) return { ...known!, wave: n };
      const { want, to, places } = due;
      return {
        kind: part.kind,
        name: part.name,
        wave: n,
        want: wantOf(want),
        to,
        places,
        state: known?.to === to ? known.state : 'waiting',
      };
    }),
  );
  return [...steps, ...before.filter(step => !parts.some(part => isSame(step, part)))];
}

/** Nothing is there, or nothing is in it. What cannot be looked at is not called gone. */
const isGone = (place: string): Promise<boolean> =>
  readdir(place).then(
    names => names.length === 0,
    error => (error as NodeJS.ErrnoException).code === 'ENOENT',
  );

/** The journal as it is true today: what was back, and was taken away since, waits again. */
export async function asItStands(stack: StackContext, journal: Journal): Promise<Journal> {
  const steps: JournalStep[] = [];
  for (const step of journal.steps) {
    const { kind, name, wave, want, to, places, state } = step;
    const gone = state === 'back' && places.length > 0 && (await Promise.all(places.map(isGone))).includes(true);
    steps.push(gone ? { kind, name, wave, want, to, places, state: 'waiting' } : step);
    if (gone)
      stack.report.emit({
        type: 'note',
        text: `${partName(step)} was back in ${to}, and nothing is there any more: it is brought back again`,
      });
  }
  return { ...journal, steps };
}
