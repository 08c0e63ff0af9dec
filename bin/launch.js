import { existsSync } from 'node:fs';

/**
 * PostgreSQL's language: to restore_command 1 to 125 mean "the WAL ends here", so only 0 and 74 (the proven end) pass and all else is
 * 255; archive_command has to fail with 1 to 125, since above the archiver restarts and does not count it.
 */
function spoken(archiving, code) {
  if (archiving === 'fetch') return code === 0 || code === 74 ? code : 255;
  return archiving === 'push' && code > 125 ? 1 : code;
}

const sentence = error => (process.argv.includes('--verbose') && error?.stack) || error?.message || String(error);

/**
 * Runs the command line of this process and sets its exit code.
 * @param version () → the program's version
 * @param load 'main' or 'ready' → promise of that module; may reject with an error that has a `hint`, which is then all that is said
 */
export async function launch({ version, load }) {
  const args = process.argv.slice(2);
  /** `fetch` or `push` where this is an archiving command of PostgreSQL. What merely looks like one is taken for it: that harms nothing. */
  const archiving = args.includes('wal') ? args.slice(args.indexOf('wal')).find(word => word === 'fetch' || word === 'push') : undefined;
  const fail = text => {
    process.stderr.write(`bkp: ${text}\n`);
    process.exitCode = spoken(archiving, 1);
  };
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 15)) {
    fail(`needs Node.js 22.15 or newer, and this is ${process.versions.node}`);
    return;
  }
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
    process.stdout.write(`${version()}\n`);
    return;
  }
  // A server that Debian's pg_ctlcluster starts has no PATH, and the shell of its archive_command looks in these without handing them on.
  process.env.PATH ||= '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  // "failed" until the end says otherwise, however that end comes.
  process.exitCode = spoken(archiving, 1);
  process.on('uncaughtException', error => {
    fail(`it broke down, which is a defect of bkp: ${sentence(error)}`);
    process.exit();
  });
  // Where a process reads ahead for this server, it has the file already, and most of bkp need not be loaded.
  const asked = archiving === 'fetch' && args.at(-4) === 'fetch' && args.at(-5) === 'wal' ? args.slice(-3) : undefined;
  const ahead = asked && existsSync(`pg_wal/.bkp-ahead-${asked[0]}/wal`) ? asked : undefined;
  const program = args[0] === 'wal' && args[1] === 'fetch' && args[2] === '--ready' ? 'ready' : 'main';
  try {
    const code = ahead && (await (await load('ready')).fromAhead(...ahead));
    if (code !== undefined) {
      process.exitCode = code;
      return;
    }
    const { main } = await load(program);
    const toCaller = code => spoken(archiving, code);
    process.exitCode = toCaller(await main(program === 'ready' ? args.slice(3) : process.argv, toCaller));
  } catch (error) {
    fail(error?.hint ?? `it broke down, which is a defect of bkp: ${sentence(error)}`);
  }
}
