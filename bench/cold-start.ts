// How long bkp takes to start: `bkp --version` and the restore_command of a private server, against an empty Node script.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { bkpCommand, cleanUp, node24, start, tempDir } from '../test/real/rig/index.ts';
import { median, round, timed } from './measure.ts';

const ROUNDS = 21;
const SEGMENT = '000000010000000000000001';

const dir = tempDir();
const empty = join(dir, 'empty.mjs');
const ready = join(dir, 'ready');
const socket = join(dir, 'wal');
writeFileSync(empty, '');
writeFileSync(ready, Buffer.alloc(16 * 1024 * 1024, 1));

const server = createServer({ allowHalfOpen: true }, link => link.once('data', () => link.end(`0 ${ready}\n`)));
await new Promise<void>(resolve => server.listen(socket, resolve));

/** The socket is served by this process, so its client cannot be waited for synchronously. */
async function fetched(): Promise<number> {
  const [file, args] = bkpCommand(['wal', 'fetch', '--ready', socket, SEGMENT, join(dir, 'copy')]);
  const from = performance.now();
  const end = await start(file, args).ended;
  const took = performance.now() - from;
  if (end.code !== 0) throw new Error(`wal fetch --ready ended with ${end.code}: ${end.stderr}`);
  return took;
}

const times = { empty: [] as number[], version: [] as number[], fetch: [] as number[] };
const [bkp, version] = bkpCommand(['--version']);
for (let n = 0; n < ROUNDS; n += 1) {
  times.empty.push(timed(node24(), [empty]));
  times.version.push(timed(bkp, version));
  times.fetch.push(await fetched());
}
server.close();
await cleanUp();

const [base, bare, fetch] = [median(times.empty), median(times.version), median(times.fetch)];
console.log(`medians of ${ROUNDS} rounds: empty script ${round(base)} ms, bkp --version ${round(bare)} ms, wal fetch ${round(fetch)} ms`);
console.log(
  JSON.stringify({
    bench: 'cold-start',
    rounds: ROUNDS,
    empty_ms: round(base),
    version_ms: round(bare),
    wal_fetch_ms: round(fetch),
    ratio: round(bare / base),
    ratio_wal_fetch: round(fetch / base),
  }),
);
