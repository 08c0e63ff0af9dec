import { Command } from 'commander';
import { BkpError, type ExitName } from '../core/errors.ts';
import type { Run, Session } from './session.ts';

interface Flags {
  dir?: string;
  derive?: string;
}

/** What the making of keys needs, which works without a config. */
export interface KeygenDeps {
  json(): boolean;
  out(line: string): void;
  err(line: string): void;
  done(): void;
}

async function make(dir: string, { json, out, err, done }: KeygenDeps): Promise<void> {
  const { keygen } = await import('../ops/keygen.ts');
  const made = await keygen(dir);
  if (json()) out(JSON.stringify({ type: 'result', ...made }));
  else {
    err('keep identity.txt off the hosts that only back up, and a copy of all four files where this platform cannot lose it');
    out(made.block);
  }
  done();
}

async function derive(session: Session, of: string): Promise<ExitName> {
  const { derivedKeys } = await import('../ops/keygen.ts');
  const [kind, name, ...rest] = of.split('/');
  if (!kind || !name || rest.length > 0) throw new BkpError('usage', `"${of}" is no target: --derive wants KIND/NAME, e.g. postgres/app`);
  const { ctx } = session.app.target(session.options.env, kind, name);
  const keys = await derivedKeys(ctx.keys.identity(), ctx.base);
  session.result({ target: of, keys }, keys.length === 1 ? [keys[0]!.key] : keys.map(({ recipient, key }) => `${recipient}  ${key}`));
  return 'done';
}

/** `bkp keygen`: the keys of a platform, or one that is derived from them. */
export const keygenCommand = (run: Run, deps: KeygenDeps): Command =>
  new Command('keygen')
    .description('make the keys of a platform: age pair, signing pair')
    .option('--dir <dir>', 'directory for the key files (mode 0600); nothing is overwritten')
    .option('--derive <kind/name>', "print the key for a target's WAL-G or restic, derived from `keys.identity`; a secret")
    .action(async ({ dir, derive: of }: Flags) => {
      if ((dir === undefined) === (of === undefined))
        throw new BkpError('usage', 'keygen either makes keys or derives one', { next: ['--dir DIR', '--derive KIND/NAME'] });
      if (dir !== undefined) await make(dir, deps);
      else await run(session => derive(session, of!));
    });
