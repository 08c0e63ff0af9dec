#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import * as module from 'node:module';
import { launch } from './launch.js';

const version = () => JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;

async function load(program) {
  // Node's own place for it is the directory for temporary files, which it would make where there is none.
  const cache = process.env.XDG_CACHE_HOME || (process.env.HOME && `${process.env.HOME}/.cache`);
  if (cache) module.enableCompileCache?.(`${cache}/bkp/compiled`);
  try {
    return await import(`../dist/${program}.js`);
  } catch (error) {
    if (error.code === 'ERR_MODULE_NOT_FOUND' && String(error.message).includes('/dist/'))
      error.hint = 'dist/ is missing\n  → npm run build';
    throw error;
  }
}

await launch({ version, load });
