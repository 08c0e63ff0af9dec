#!/usr/bin/env node
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import * as module from 'node:module';
import { dirname } from 'node:path';
import { launch } from './launch.js';

const version = () => JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;

/** Whether it is there, or was made. Node makes it too, but never ends below what takes no directories and answers ENOENT, such as /proc. */
function isMade(dir) {
  if (existsSync(dir)) return true;
  if (!isMade(dirname(dir))) return false;
  try {
    mkdirSync(dir, { mode: 0o700 });
    return true;
  } catch (error) {
    return error.code === 'EEXIST';
  }
}

async function load(program) {
  // Node's own place for it is the directory for temporary files, which it would make where there is none.
  const cache = process.env.XDG_CACHE_HOME || (process.env.HOME && `${process.env.HOME}/.cache`);
  if (cache && isMade(`${cache}/bkp`)) module.enableCompileCache?.(`${cache}/bkp/compiled`);
  try {
    return await import(`../dist/${program}.js`);
  } catch (error) {
    if (error.code === 'ERR_MODULE_NOT_FOUND' && String(error.message).includes('/dist/'))
      error.hint = 'dist/ is missing\n  → npm run build';
    throw error;
  }
}

await launch({ version, load });
