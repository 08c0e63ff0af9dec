import { Command } from 'commander';
import { type CommonFlags, chosen, give, type RenderDeps, schedulesOf, traitsOf, withCommon } from './deps.ts';

interface Flags extends CommonFlags {
  program: string;
  user: string;
  credentials: string;
}

async function units(deps: RenderDeps, kind: string | undefined, name: string | undefined, flags: Flags): Promise<void> {
  const { renderSystemd } = await import('../../core/render/systemd/index.ts');
  const { config, env, entries } = chosen(deps, kind, name);
  const options = { program: flags.program, user: flags.user, credentials: flags.credentials, drill: flags.drill };
  const { files, warnings, notes } = renderSystemd(
    { config, env, traits: traitsOf(deps.registry), schedules: schedulesOf(flags), options },
    entries,
  );
  const head = [
    ...warnings.map(text => `# DOUBTFUL: ${text}`),
    '# Each file below goes where its line says; bkp render systemd --out / puts it there. Then, as root:',
    ...notes.map(line => `#   ${line}`),
  ];
  const text = [...head, ...files.map(file => `\n# ==> /${file.path}\n${file.text}`)].join('\n');
  await give(deps, flags, { text, files, warnings });
  if (flags.out !== undefined && !deps.json()) deps.out(['then, as root:', ...notes.map(line => `  ${line}`)].join('\n'));
}

/** `bkp render systemd [target] [name]`: hardened services and timers for one host. */
export const systemdCommand = (deps: () => RenderDeps | Promise<RenderDeps>): Command =>
  withCommon(new Command('systemd'))
    .description('hardened services and timers for the jobs of one host; secrets come as credentials, none stands in a unit')
    .option('--program <path>', 'path of bkp on that host', '/usr/local/bin/bkp')
    .option('--user <name>', 'who runs what does not need root', 'bkp')
    .option('--credentials <dir>', 'directory with a file for each variable of the config, for root alone to read', '/etc/bkp/credentials')
    .action(async (kind: string | undefined, name: string | undefined, flags: Flags) => units(await deps(), kind, name, flags));
