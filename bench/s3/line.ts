// The program that `upload` and `download` measure: bkp's own line between a pipe and S3 stores. BENCH is its task as JSON.
import { randomBytes } from 'node:crypto';
import type { Bytes, Keys, PieceRef, Reporter, Store } from '../../src/core/contracts.ts';
import { owned, spent } from '../../src/core/spent.ts';
import { openPiece } from '../../src/flow/open.ts';
import { sealPiece, storeStream } from '../../src/flow/seal.ts';
import { stores } from '../../src/providers/stores/index.ts';
import { systemClock } from '../../src/system/clock.ts';
import { systemRunner } from '../../src/system/runner.ts';

interface Task {
  does: 'pipe' | 'seal' | 'cat' | 'open';
  stores: Record<string, unknown>[];
  key: string;
  recipients: string[];
  identity?: string;
  /** What `seal` printed. */
  ref?: PieceRef;
}

const task: Task = JSON.parse(process.env['BENCH']!);
const host = { prefix: 'bench', clock: systemClock, random: randomBytes };
const opened: Store[] = task.stores.map((entry, n) => stores['s3']!.open(`s${n}`, stores['s3']!.config.parse(entry), host));
const report: Reporter = { emit() {} };
const options = {
  keyPrefix: 'bench',
  stores: opened,
  need: opened.length,
  run: systemRunner,
  signal: new AbortController().signal,
  report,
};
const keys = { recipients: task.recipients, identity: () => task.identity } as unknown as Keys;

async function drain(bytes: Bytes): Promise<void> {
  for await (const chunk of bytes) {
    await new Promise(resolve => process.stdout.write(chunk, resolve));
    spent(chunk);
  }
}

/** As a runner's pipeline gives it. */
async function* input(): Bytes {
  for await (const chunk of process.stdin) yield owned(chunk);
}

if (task.does === 'pipe') await storeStream(task.key, input(), { ...options, recipients: [] });
if (task.does === 'seal')
  console.log(JSON.stringify((await sealPiece(task.key, input(), { ...options, recipients: task.recipients })).ref));
if (task.does === 'cat') await drain(opened[0]!.get(task.key));
if (task.does === 'open') await drain(openPiece(task.ref!, ['zstd', 'age'], opened, { ...options, keys }));
process.exit(0);
