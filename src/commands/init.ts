import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import type { Registry } from '../core/config/index.ts';
import type { Runner } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';
import { parseStore } from '../core/init/store.ts';
import type { Found } from '../core/init/text.ts';
import { pasted } from '../core/shell.ts';

interface Flags {
  out: string;
  keys?: string;
  env: string;
  store?: readonly string[];
  timezone: string;
  yes?: boolean;
}

/** What `init` needs, which works without a config. */
export interface InitDeps {
  json(): boolean;
  registry: Registry;
  run: Runner;
  out(line: string): void;
  err(line: string): void;
  done(): void;
}

const DEFAULT_STORE = 'local=directory:/srv/backup';

/** What was found, a line each. */
function inWords({ postgres, redis, etcd, samba, kubectl }: Found): string[] {
  const lines = [
    ...postgres.map(
      ({ name, host, port, walg }) => `PostgreSQL at ${host}, port ${port} → postgres/${name}${walg ? ', engine wal-g' : ''}`,
    ),
    ...redis.map(({ name, port, password }) => `Redis on port ${port}${password ? ', which wants a password' : ''} → redis/${name}`),
    ...(etcd ? [etcd.flavor === 'k3s' ? 'K3s → etcd/k3s' : `etcd at ${etcd.endpoint} → etcd/main`] : []),
    ...(samba ? ['a domain controller of Samba → samba/ad'] : []),
    ...(kubectl ? ['kubectl → `bkp coverage` looks into its cluster'] : []),
  ];
  return lines.length > 0 ? lines : ['nothing that bkp backs up answers on this host: the config has examples'];
}

/** Answers typed on a terminal; an empty one is the default. */
async function asked(flags: Flags): Promise<readonly string[]> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const stores: string[] = [];
    for (;;) {
      const more = stores.length > 0;
      const question = more ? 'Another store (empty = no more): ' : `Store for backups, NAME=TYPE:PLACE [${DEFAULT_STORE}]: `;
      const answer = (await terminal.question(question)).trim();
      if (answer === '' && more) break;
      try {
        parseStore(answer || DEFAULT_STORE);
        stores.push(answer || DEFAULT_STORE);
      } catch (error) {
        if (!(error instanceof BkpError)) throw error;
        process.stderr.write(`${error.message}\n${error.next.map(line => `  → ${line}`).join('\n')}\n`);
      }
    }
    const go = (await terminal.question(`Write ${flags.out}? [yes] `)).trim();
    if (!/^(|y|yes)$/i.test(go)) throw new BkpError('aborted', 'not confirmed: nothing was written');
    return stores;
  } finally {
    terminal.close();
  }
}

const gathered = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

async function init(flags: Flags, { json, registry, run, out, err, done }: InitDeps): Promise<void> {
  const { discover, usual } = await import('../ops/init/discover.ts');
  const { writeConfig } = await import('../ops/init/write.ts');
  const found = await discover(usual(run));
  for (const line of inWords(found)) err(`found: ${line}`);
  const interactive = !flags.yes && !flags.store && process.stdin.isTTY;
  const specs = interactive ? await asked(flags) : (flags.store ?? [DEFAULT_STORE]);
  const stores = specs.map(parseStore);
  const keys = flags.keys ?? join(dirname(flags.out), 'keys');
  const written = await writeConfig(found, { env: flags.env, stores, timezone: flags.timezone }, { config: flags.out, keys }, registry);
  const next = [
    ...(written.variables.length > 0
      ? [`export ${written.variables.map(name => `${name}=…`).join(' ')}   # what the config refers to`]
      : []),
    `keep ${written.keys[0]} where this platform cannot lose it: without it no backup opens`,
    `bkp --config ${pasted(written.config)} doctor`,
    `bkp --config ${pasted(written.config)} backup`,
  ];
  if (json()) out(JSON.stringify({ type: 'result', ...written, found, next }));
  else
    for (const line of [
      `written: ${written.config}${written.made ? ` and keys in ${dirname(written.keys[0]!)}` : ''}`,
      ...next.map(each => `  → ${each}`),
    ])
      out(line);
  done();
}

/** `bkp init`: a config and keys for what is on this host. */
export const initCommand = (deps: () => Promise<InitDeps>): Command =>
  new Command('init')
    .description('write a commented config over what is found on this host, and keys; nothing is overwritten')
    .option('--out <file>', 'the config', './bkp.yaml')
    .option('--keys <dir>', 'directory of the keys; one that is there is taken; default: `keys` beside the config')
    .option('--env <name>', 'name of the environment', 'production')
    .option(
      '--store <spec>',
      'NAME=directory:PATH, NAME=hetzner:BUCKET@REGION, NAME=b2:BUCKET@REGION or NAME=s3:BUCKET@REGION,URL; once for each',
      gathered,
    )
    .option('--timezone <zone>', 'IANA zone of schedules and times', 'UTC')
    .option('--yes', `ask nothing; without --store: ${DEFAULT_STORE}`)
    .action(async (_flags: Flags, command: Command) => init(command.optsWithGlobals() as Flags, await deps()));
