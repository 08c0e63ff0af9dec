// A domain of a few hundred accounts: seconds of each step of `bkp backup`, `restore` and `verify --deep samba`, and of samba-tool alone.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { cleanUp, makeKeys, tempDir } from '../test/real/rig/index.ts';
import { ADMIN_PASSWORD, provision } from '../test/real/rig/samba.ts';
import { round, timed } from './measure.ts';

const USERS = 300;
const seconds: Record<string, number> = {};
const time = async (name: string, work: () => Promise<unknown>): Promise<void> => {
  const from = performance.now();
  await work();
  seconds[name] = round((performance.now() - from) / 1000);
};

/** Many accounts by one process: each samba-tool takes half a second to load. */
const FILL = `
import sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
lp = LoadParm()
lp.load(sys.argv[1])
sam = SamDB(url=lp.private_path('sam.ldb'), session_info=system_session(), lp=lp)
sam.transaction_start()
for n in range(int(sys.argv[2])):
    sam.newuser('user%d' % n, 'Passw0rd.%d' % n)
sam.transaction_commit()
`;

const dc = await provision();
const filled = spawnSync('/usr/bin/python3', ['-c', FILL, dc.conf, String(USERS)], { encoding: 'utf8' });
if (filled.status !== 0) throw new Error(`the accounts could not be made: ${filled.stderr}`);
await dc.start();

const dir = tempDir();
const keys = await makeKeys(join(dir, 'keys'));
const configOf = (name: string, entry: Record<string, unknown>): string => {
  const path = join(dir, `${name}.yaml`);
  const stores = { local: { type: 'directory', path: tempDir() } };
  const samba = { ad: { smbConf: dc.conf, ...entry } };
  writeFileSync(path, stringify({ keys, environments: { production: { stores, samba } } }));
  return path;
};
const account = { mode: 'online', server: '127.0.0.1', user: 'Administrator', password: '${AD_PASSWORD}' };
const offline = configOf('offline', { mode: 'offline', dbcheck: false });
const online = configOf('online', account);

async function bkp(config: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await dc.runBkp(args, { config, env: { AD_PASSWORD: ADMIN_PASSWORD } });
  if (code !== 0) throw new Error(`bkp ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
}

seconds['samba-tool offline'] = round(
  timed('samba-tool', ['domain', 'backup', 'offline', '-s', dc.conf, `--targetdir=${tempDir()}`], {
    env: { PATH: process.env['PATH'] ?? '' },
  }) / 1000,
);
await time('backup offline', () => bkp(offline, 'backup', 'samba'));
await time('backup online', () => bkp(online, 'backup', 'samba'));
seconds['dbcheck'] = round(
  timed('samba-tool', ['dbcheck', '--cross-ncs', '-s', dc.conf], { env: { PATH: process.env['PATH'] ?? '' } }) / 1000,
);
await time('restore', () =>
  bkp(offline, 'restore', 'samba', 'ad', '--latest', '--yes', '--server-name', 'newdc', '--to', join(tempDir(), 'd')),
);
let proof: { name: string; seconds?: number }[] = [];
await time('verify --deep', async () => {
  const last = (await bkp(offline, 'verify', 'samba', '--deep', '--json')).trim().split('\n').at(-1) ?? '';
  proof = JSON.parse(last).stores[0].proof.checks;
});
await dc.stop();
await cleanUp();

for (const [name, took] of Object.entries(seconds)) console.log(`${name.padEnd(20)} ${took} s`);
for (const step of proof) if (step.seconds !== undefined) console.log(`  ${step.name.padEnd(18)} ${step.seconds} s`);
console.log(
  JSON.stringify({
    bench: 'samba',
    users: USERS,
    seconds,
    ratio: round(seconds['backup offline']! / seconds['samba-tool offline']!),
    ratio_restore: round(seconds['restore']! / seconds['backup offline']!),
  }),
);
