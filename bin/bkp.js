#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import * as module from 'node:module';

const args = process.argv.slice(2);

/** `fetch` or `push` where this is an archiving command of PostgreSQL. What merely looks like one is taken for it: that harms nothing. */
const archiving = args.includes('wal') ? args.slice(args.indexOf('wal')).find(word => word === 'fetch' || word === 'push') : undefined;

/**
 * PostgreSQL's language: to restore_command 1 to 125 mean "the WAL ends here", so only 0 and 74 (the proven end) pass and all else is
 * 255; archive_command has to fail with 1 to 125, since above the archiver restarts and does not count it.
 */
function spoken(code) {
  if (archiving === 'fetch') return code === 0 || code === 74 ? code : 255;
  return archiving === 'push' && code > 125 ? 1 : code;
}

function fail(text) {
  process.stderr.write(`bkp: ${text}\n`);
  process.exitCode = spoken(1);
}

const sentence = error => (process.argv.includes('--verbose') && error?.stack) || error?.message || String(error);

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 15)) fail(`needs Node.js 22.15 or newer, and this is ${process.versions.node}`);
else if (args.length === 1 && (args[0] === '--version' || args[0] === '-V'))
  process.stdout.write(`${JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version}\n`);
else {
  // Node's own place for it is the directory for temporary files, which it would make where there is none.
  const cache = process.env.XDG_CACHE_HOME || (process.env.HOME && `${process.env.HOME}/.cache`);
  if (cache) module.enableCompileCache?.(`${cache}/bkp/compiled`);
  // "failed" until the end says otherwise, however that end comes.
  process.exitCode = spoken(1);
  process.on('uncaughtException', error => {
    fail(`it broke down, which is a defect of bkp: ${sentence(error)}`);
    process.exit();
  });
  const program = args[0] === 'wal' && args[1] === 'fetch' && args[2] === '--ready' ? 'ready' : 'main';
  try {
    const { main } = await import(`../dist/${program}.js`);
    process.exitCode = spoken(await main(program === 'ready' ? args.slice(3) : process.argv));
  } catch (error) {
    if (error.code === 'ERR_MODULE_NOT_FOUND' && String(error.message).includes('/dist/')) fail('dist/ is missing\n  → npm run build');
    else fail(`it broke down, which is a defect of bkp: ${sentence(error)}`);
  }
}
