import { isSea } from 'node:sea';
import { Command } from 'commander';
import type { About } from '../about.ts';
import type { Runner } from '../core/contracts.ts';
import type { BareRun, BareSession } from './session.ts';

/** What `bkp version` needs, which works without a config. */
export interface VersionDeps {
  about(): About;
  runner(): Promise<Runner>;
  /** Directories of PostgreSQL's programs that need not be on PATH. */
  postgresql(): Promise<string[]>;
}

async function tell(session: BareSession, { about, runner, postgresql }: VersionDeps): Promise<void> {
  const { toolsFound } = await import('../ops/tools.ts');
  const { version, commit } = about();
  const node = process.version;
  const platform = `${process.platform}-${process.arch}`;
  const oneFile = isSea();
  const tools = await toolsFound(await runner(), await postgresql());
  const width = Math.max(0, ...tools.map(({ name }) => name.length));
  session.result({ version, commit: commit || null, node, platform, oneFile, tools }, [
    `bkp ${version}${commit ? ` (${commit.slice(0, 12)})` : ''}, Node.js ${node} ${oneFile ? 'inside' : `at ${process.execPath}`}, ${platform}`,
    ...tools.map(({ name, version: found, path }) => `${name.padEnd(width)}  ${found ?? 'of an unknown version'}  ${path}`),
  ]);
}

/** `bkp version`: what this program is, on what it runs, and which programs it would start. */
export const versionCommand = (bare: BareRun, deps: VersionDeps): Command =>
  new Command('version').description('what this program is, and which programs it finds to work with').action(() =>
    bare(async session => {
      await tell(session, deps);
      return 'done';
    }),
  );
