import type { Opened } from '../../app.ts';
import type { Config, Environment } from '../../core/config/index.ts';
import { entry, environment, parseConfig, type Registry } from '../../core/config/index.ts';
import type { Target } from '../../core/contracts.ts';
import { BkpError } from '../../core/errors.ts';
import { SCHEDULES, type Schedules, type Traits } from '../../core/render/jobs.ts';
import type { MadeFile } from '../../core/render/kubernetes/text.ts';

/** What `bkp render` needs from the program. Nothing of it resolves a secret. */
export interface RenderDeps {
  load(): { file: string; text: string };
  registry: Registry;
  version: string;
  /** --env. */
  env: string | undefined;
  json(): boolean;
  out(text: string): void;
  warn(text: string): void;
  /** One entry to look at, its secrets as references. */
  shown(config: Config, env: string, kind: string, name: string): Opened;
}

/** Flags that both renderings have. */
export interface CommonFlags {
  out?: string;
  force?: boolean;
  pruneSchedule: string;
  verifySchedule: string;
  drillSchedule: string;
  drill: boolean;
  statusSchedule: string;
}

/** Adds them to a command. */
export const withCommon = <T extends import('commander').Command>(command: T): T =>
  command
    .argument('[target]', 'kind of target; all of the environment when left out')
    .argument('[name]', 'entry of that kind')
    .option('--out <dir>', 'write files under this directory instead of printing them')
    .option('--force', 'with --out: write over files that were changed, or that bkp did not write')
    .option('--prune-schedule <cron>', "when to prune, in the config's time zone", SCHEDULES.prune)
    .option('--verify-schedule <cron>', 'when to read back a twentieth of the bytes', SCHEDULES.verify)
    .option('--drill-schedule <cron>', 'when to rehearse restores', SCHEDULES.drill)
    .option('--no-drill', 'no rehearsals: then no job holds the age identity')
    .option('--status-schedule <cron>', 'when to look whether anything is late', SCHEDULES.status);

export const schedulesOf = (flags: CommonFlags): Schedules => ({
  prune: flags.pruneSchedule,
  verify: flags.verifySchedule,
  drill: flags.drillSchedule,
  status: flags.statusSchedule,
});

/** What each kind can do, by its target. */
export const traitsOf = (registry: Registry): Record<string, Traits> =>
  Object.fromEntries(
    Object.entries(registry.kinds as unknown as Record<string, Target>).map(([kind, target]) => [
      kind,
      {
        live: target.live !== undefined,
        stream: target.stream !== undefined,
        drill: entry => (target.variant?.(entry) ?? target).prove !== undefined,
      },
    ]),
  );

/** The config, the environment, and the entries that were asked for. Throws BkpError('usage' | 'notFound'). */
export function chosen(
  deps: RenderDeps,
  kind: string | undefined,
  name: string | undefined,
): { config: Config; env: Environment; entries: { kind: string; name: string }[] } {
  const { file, text } = deps.load();
  const config = parseConfig(text, file, deps.registry);
  const env = environment(config, deps.env);
  const kinds = Object.keys(deps.registry.kinds);
  if (kind !== undefined && !kinds.includes(kind))
    throw new BkpError('usage', `there is no target "${kind}"`, { next: `one of: ${kinds.join(', ')}` });
  const entries = (kind === undefined ? kinds : [kind]).flatMap(each =>
    name === undefined
      ? Object.keys(env.targets[each] ?? {}).map(found => ({ kind: each, name: found }))
      : [{ kind: each, name: entry(env, each, name).name }],
  );
  if (entries.length > 0) return { config, env, entries };
  throw new BkpError('notFound', `environment ${env.name} has no ${kind ?? 'targets'} in ${file}`, {
    next: `add one under environments.${env.name}`,
  });
}

/** Prints a stream, or writes files; then what the person has to know. */
export async function give(
  deps: RenderDeps,
  flags: CommonFlags,
  made: { text: string; files: readonly MadeFile[]; warnings: readonly string[] },
): Promise<void> {
  const { writeFiles } = await import('../../ops/render/files.ts');
  const told = flags.out === undefined ? [] : await writeFiles(flags.out, made.files, flags.force ?? false);
  const warnings = [...made.warnings, ...told];
  for (const warning of warnings) deps.warn(warning);
  const files = made.files.map(({ path }) => path);
  if (deps.json()) {
    const what = flags.out === undefined ? { text: made.text } : { dir: flags.out, files };
    deps.out(JSON.stringify({ type: 'result', ...what, warnings }));
  } else deps.out(flags.out === undefined ? made.text.trimEnd() : `${files.length} files in ${flags.out}`);
}
