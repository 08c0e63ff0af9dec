import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { FaultName } from '../../walg/faults.ts';
import { binDir, node24, root } from './places.ts';
import type { S3Server } from './s3.ts';
import { tempDir } from './temp.ts';

/** A fault, or several, by the command that has it; `slow:MS` takes milliseconds. What each one does: test/walg/faults.ts. */
export type WalgFaults = Partial<Record<string, FaultName | `slow:${number}`>>;

const installed = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map(dir => join(dir, 'wal-g'))
  .find(existsSync);

/** Which of the two `walgPath()` gives: a real WAL-G, where one is on PATH, or the stand-in of test/walg. */
export const walg = { isReal: installed !== undefined };

let bundled: string | undefined;

/** The stand-in as a bundle, made once for all tests of a process: a start of it from its sources costs three times as much. */
function standIn(): string {
  if (bundled && existsSync(bundled)) return bundled;
  const dir = tempDir();
  const how = ['--bundle', '--splitting', '--format=esm', '--platform=node', '--main-fields=module,main', '--out-extension:.js=.mjs'];
  const requires = "--banner:js=import { createRequire as __cr } from 'module'; const require = __cr(import.meta.url);";
  const args = [join(root, 'test/walg/main.ts'), ...how, requires, `--outdir=${dir}`, '--log-level=warning'];
  execFileSync(join(root, 'node_modules/esbuild/bin/esbuild'), args, { cwd: root });
  bundled = join(dir, 'main.mjs');
  return bundled;
}

/** Node takes a program without an extension for either kind of module; this works in both. */
const launcher = (faults: WalgFaults, program: string): string => `#!${node24()} --no-warnings
const env = process.env;
const faults = ${JSON.stringify(faults)};
env.WALG_STUB_TMP ||= process.argv[1] + '.tmp';
env.WALG_STUB_PGBIN ||= ${JSON.stringify(binDir('18'))};
env.WALG_STUB_LOCALHOST ||= '127.0.0.1:1';
env.WALG_STUB_RETRY_WAIT ||= '1';
env.WALG_STUB_FAULT ||= faults[process.argv.slice(2).find(word => word in faults)] ?? '';
process.getBuiltinModule('node:module').enableCompileCache(${JSON.stringify(`${dirname(program)}/compiled`)});
import(${JSON.stringify(program)});
`;

/**
 * A directory that holds a program `wal-g`, to stand first on PATH. The real one where it is on PATH and no fault is asked for, else the
 * stand-in; WALG_STUB_FAULT in the environment of a run goes over `faults`. When the stand-in cannot connect to PostgreSQL, it looks at
 * WALG_STUB_LOCALHOST (`host:port`) in place of localhost:5432, and nobody listens there unless a test says so.
 * What fails to download is tried again after milliseconds, for which WAL-G waits minutes.
 * @param faults command → what it does wrong, e.g. `{ 'backup-push': 'no-sentinel' }`
 */
export function walgPath(faults?: WalgFaults): string {
  if (installed && !faults) return dirname(installed);
  const dir = tempDir();
  writeFileSync(join(dir, 'wal-g'), launcher(faults ?? {}, standIn()));
  chmodSync(join(dir, 'wal-g'), 0o755);
  mkdirSync(join(dir, 'wal-g.tmp'));
  chmodSync(join(dir, 'wal-g.tmp'), 0o777);
  return dir;
}

/** WAL-G's settings for a prefix of a bucket of one of the rig's servers. */
export const walgStorage = (server: S3Server, bucket: string, prefix = 'walg'): Record<string, string> => ({
  WALG_S3_PREFIX: `s3://${bucket}/${prefix}`,
  AWS_ENDPOINT: server.endpoint,
  AWS_REGION: server.region,
  AWS_ACCESS_KEY_ID: server.accessKey,
  AWS_SECRET_ACCESS_KEY: server.secretKey,
  AWS_S3_FORCE_PATH_STYLE: 'true',
});
