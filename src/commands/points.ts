import { Command } from 'commander';
import { BkpError, type ExitName, sentence } from '../core/errors.ts';
import { bestPoint, type Point, pointIn, skewOf } from '../core/points.ts';
import { policyOf } from '../core/retention.ts';
import { readTargetTime } from '../core/time.ts';
import { gathered } from '../ops/gathered.ts';
import { formatAge, formatDuration, formatInstant, formatTable } from '../report/format.ts';
import { type Run, type Session, worst } from './session.ts';

interface Flags {
  at?: string;
  from?: string;
}

interface Row {
  target: string;
  /** By store; absent where nothing of it can be brought back. */
  points: { store: string; point?: Point }[];
  best?: Point;
}

const table = (rows: readonly Row[], now: Date): string[] =>
  formatTable(
    ['TARGET', 'STORE', 'POINT', 'AGE', 'BY', ''],
    rows.flatMap(({ target, points, best }) =>
      points.map(({ store, point }) =>
        point
          ? [
              target,
              store,
              formatInstant(new Date(point.at)),
              formatAge(new Date(point.at), now),
              point.by === 'log' ? 'its log' : `backup ${point.want.backup}`,
              point.store === best?.store ? 'taken' : '',
            ]
          : [target, store, 'nothing', '-', '-', ''],
      ),
    ),
  );

const together = (rows: readonly Row[]): string[] => {
  const best = rows.flatMap(row => (row.best ? [{ target: row.target, at: row.best.at }] : []));
  const none = rows.filter(row => !row.best).map(({ target }) => target);
  const order = [...best].sort((a, b) => a.at.localeCompare(b.at));
  return [
    ...(best.length > 1
      ? [
          `all together: from ${formatInstant(new Date(order[0]!.at))} (${order[0]!.target}) to ${formatInstant(new Date(order.at(-1)!.at))} (${order.at(-1)!.target}), ${formatDuration(skewOf(best))} apart`,
        ]
      : []),
    ...none.map(target => `${target} cannot be brought back to any point`),
  ];
};

async function show(session: Session, kind: string | undefined, name: string | undefined, flags: Flags): Promise<ExitName> {
  const { reachOf } = await import('../ops/fulldr/reach.ts');
  const now = new Date();
  const time = flags.at === undefined ? undefined : readTargetTime(flags.at, session.app.config.timezone, now);
  if (time) session.report.emit({ type: 'note', text: `points at or before ${time.reading} (${formatAge(time.utc, now)})` });
  const rows: Row[] = [];
  const ends: ExitName[] = [];
  for (const each of session.app.select(session.options.env, kind, name)) {
    const target = `${each.kind}/${each.name}`;
    try {
      const opened = session.app.target(session.options.env, each.kind, each.name, flags.from ? { from: flags.from } : {});
      const { reaches, problems } = await reachOf(opened.target, opened.ctx, policyOf(opened.entry.retention).window);
      for (const { store, error } of gathered(problems))
        session.report.emit({ type: 'warning', text: `${target}, store ${store}: ${error}` });
      const points = reaches.map(reach => {
        const point = pointIn(reach, time?.utc);
        return { store: reach.store, ...(point ? { point } : {}) };
      });
      const best = bestPoint(reaches, time?.utc);
      rows.push({ target, points, ...(best ? { best } : {}) });
      ends.push(best ? (problems.length > 0 ? 'partial' : 'done') : 'notFound');
    } catch (error) {
      session.signal.throwIfAborted();
      if (!(error instanceof BkpError)) throw error;
      session.report.emit({ type: 'warning', text: `${target}: ${sentence(error)}` });
      rows.push({ target, points: [] });
      ends.push(error.exit);
    }
  }
  const best = rows.flatMap(row => (row.best ? [row.best] : []));
  session.result(
    {
      env: session.app.env(session.options.env).name,
      at: time?.utc.toISOString() ?? null,
      skewSeconds: skewOf(best) / 1000,
      targets: rows,
    },
    [...table(rows, now), ...together(rows)],
  );
  return worst(ends);
}

/** `bkp points [target] [name]`: what each can be brought back to. */
export const pointsCommand = (run: Run): Command =>
  new Command('points')
    .description('what each target can be brought back to, by store, and how far apart that is; with --at for any instant')
    .argument('[target]', 'kind of target')
    .argument('[name]', 'entry of that kind')
    .option('--at <time>', 'the newest state at or before this time, e.g. "2026-01-15 14:30:00"; default: the newest there is')
    .option('--from <store>', 'this store only')
    .action((kind: string | undefined, name: string | undefined, flags: Flags) => run(session => show(session, kind, name, flags)));
