#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import * as module from 'node:module';

const [major, minor] = process.versions.node.split('.').map(Number);
const args = process.argv.slice(2);
if (major < 22 || (major === 22 && minor < 15)) {
  process.stderr.write(`bkp: needs Node.js 22.15 or newer, and this is ${process.versions.node}\n`);
  process.exitCode = 1;
} else if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  process.stdout.write(`${JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version}\n`);
} else {
  module.enableCompileCache?.();
  const program = args[0] === 'wal' && args[1] === 'fetch' && args[2] === '--ready' ? 'ready' : 'main';
  try {
    const { main } = await import(`../dist/${program}.js`);
    process.exitCode = await main(program === 'ready' ? args.slice(3) : process.argv);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' || !String(error.message).includes('/dist/')) throw error;
    process.stderr.write('bkp: dist/ is missing\n  → npm run build\n');
    process.exitCode = 1;
  }
}
