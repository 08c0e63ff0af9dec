import type { Journal } from '../../core/journal.ts';
import { skewOf } from '../../core/points.ts';
import { optionArgs } from '../../core/restoreOptions.ts';
import { pasted } from '../../core/shell.ts';
import { wavesOf } from '../../core/waves.ts';
import type { Forecast } from '../../ops/fulldr/forecast.ts';
import { partName } from '../../ops/fulldr/part.ts';
import type { Ready } from '../../ops/fulldr/preflight.ts';
import { formatAge, formatDuration, formatInstant } from '../../report/format.ts';

const wantArgs = ({ want }: Ready): string[] => [
  ...(want.latest ? ['--latest'] : []),
  ...(want.backup ? ['--from-backup', want.backup] : []),
  ...(want.time ? ['--target-time', want.time.toISOString()] : []),
];

/** The command that does the same for one part alone. */
export const commandOf = (ready: Ready, env: string, from: string | undefined): string => {
  const { kind, name, fullDr } = ready.part;
  const args = [
    ...['bkp', '--env', env, 'restore', kind, name],
    ...wantArgs(ready),
    ...(ready.online ? ['--online'] : ['--to', ready.to]),
    ...(from ? ['--from', from] : []),
    ...optionArgs(fullDr.options),
  ];
  return args.map(pasted).join(' ');
};

function skew(ready: readonly Ready[]): string[] {
  const known = ready.flatMap(({ part, point }) => (point ? [{ what: partName(part), at: point.at }] : []));
  if (known.length < 2) return [];
  const [first, last] = [...known]
    .sort((a, b) => a.at.localeCompare(b.at))
    .flatMap((each, n, all) => (n === 0 || n === all.length - 1 ? [each] : []));
  return [`what comes back is ${formatDuration(skewOf(known))} apart: ${first!.what} of ${first!.at}, ${last!.what} of ${last!.at}`];
}

const pointText = ({ point, want }: Ready, now: Date): string => {
  if (!point) return want.backup ? `backup ${want.backup}, as chosen before` : 'as chosen before';
  const how = point.by === 'log' ? 'out of its log' : `backup ${want.backup}`;
  return `${how}, state of ${formatInstant(new Date(point.at))} (${formatAge(new Date(point.at), now)})`;
};

/** An estimate that nobody measured would be a guess: without drills it is said that there are none. */
function rto(forecast: Forecast | undefined): string[] {
  if (!forecast) return ['how long it takes is not known: nothing was drilled yet (bkp drill full-dr)'];
  const { seconds, unknown } = forecast;
  return [
    `by the drills on record it takes about ${formatDuration(seconds * 1000)}${unknown.length > 0 ? `, without ${unknown.join(', ')}, never drilled` : ''}`,
  ];
}

/** What will be done, in order, with the commands that do the same by hand. */
export function runbook(
  ready: readonly Ready[],
  options: { env: string; from: string | undefined; now: Date; resumed: Journal | undefined; forecast: Forecast | undefined },
): string[] {
  const { waves } = wavesOf(ready.map(({ part }) => part));
  const back = options.resumed?.steps.filter(({ state }) => state === 'back').map(partName) ?? [];
  return [
    ...(options.resumed
      ? [`going on with the restore of ${options.resumed.startedAt}${back.length > 0 ? `; back already: ${back.join(', ')}` : ''}`]
      : []),
    ...skew(ready),
    ...rto(options.forecast),
    ...waves.flatMap((wave, n) => [
      `wave ${n + 1} of ${waves.length}${wave.length > 1 ? ', side by side' : ''}:`,
      ...wave.flatMap(part => {
        const each = ready.find(one => one.part === part)!;
        return [
          `  ${partName(part)}: ${pointText(each, options.now)}`,
          `    $ ${commandOf(each, options.env, options.from)}`,
          ...each.lines.map(line => `      ${line}`),
        ];
      }),
    ]),
  ];
}
