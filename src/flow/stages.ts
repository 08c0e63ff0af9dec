import { addAbortSignal, pipeline, Readable, type Transform } from 'node:stream';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import type { Bytes, Command, Keys, Runner } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { ageOpen, ageSeal, wrongKey } from './age.ts';
import { timely } from './timely.ts';

export type StageName = 'zstd' | 'age';

interface Tools {
  run: Runner;
  signal: AbortSignal;
  /** A stage that gives no byte for this long, while its reader waits, has broken down: milliseconds; default 10 minutes. */
  stalledMs?: number;
}

const STALLED_MS = 600_000;

const native = (tools: Tools, names: readonly string[]): boolean => names.every(name => tools.run.which(name) !== undefined);

const piped = (tools: Tools, commands: readonly Command[], input: Bytes): Bytes => {
  const { stalledMs = STALLED_MS } = tools;
  const { out } = tools.run.pipeline(commands, { input, signal: tools.signal });
  return timely(out, stalledMs, () => stalled(commands.map(({ file }) => file).join(' and '), stalledMs));
};

const stalled = (what: string, ms: number): BkpError =>
  new BkpError('failed', `no byte came out of ${what} for ${ms / 1000} s: the source or one of them stands still`, {
    next: 'look at the source (does the server answer?) and at the processes of this host, then run it again',
  });

/** A stage in this process. A plain `pipe` would drop the source's error and never end. */
const through = (source: Bytes, stage: Transform, tools: Tools): Bytes =>
  addAbortSignal(
    tools.signal,
    pipeline(Readable.from(source, { objectMode: false }), stage, () => {}),
  );

/** The line of a host: always compressed, encrypted where there are recipients. */
export const lineFor = (keys: Keys): StageName[] => (keys.recipients.length > 0 ? ['zstd', 'age'] : ['zstd']);

/** Compresses and encrypts: by zstd and age as children joined by descriptor, or in this process where one of them is missing (slower). */
export function sealBytes(source: Bytes, recipients: readonly string[], tools: Tools): Bytes {
  const names = recipients.length > 0 ? ['zstd', 'age'] : ['zstd'];
  if (native(tools, names)) {
    const age: Command = { file: 'age', args: recipients.flatMap(recipient => ['-r', recipient]) };
    return piped(tools, [{ file: 'zstd', args: ['-q', '-3', '-T0', '-c'] }, ...(recipients.length > 0 ? [age] : [])], source);
  }
  const packed = through(source, createZstdCompress(), tools);
  return recipients.length > 0 ? ageSeal(packed, recipients) : packed;
}

/** Undoes `sealBytes`. The identity reaches age by a descriptor, not by a name that others could open. Throws BkpError('usage') for a wrong key. */
export async function* openBytes(sealed: Bytes, line: readonly string[], keys: Keys, tools: Tools): AsyncGenerator<Uint8Array> {
  const encrypted = line.includes('age');
  if (!native(tools, encrypted ? ['zstd', 'age'] : ['zstd'])) {
    const packed: Bytes = encrypted ? ageOpen(sealed, keys.identity()) : sealed;
    yield* unpacked(packed, tools);
    return;
  }
  try {
    const age: Command[] = encrypted ? [{ file: 'age', args: ['-d', '-i', '/dev/fd/3'], secret: `${keys.identity()}\n` }] : [];
    yield* piped(tools, [...age, { file: 'zstd', args: ['-q', '-d', '-c'] }], sealed);
  } catch (error) {
    if (tools.signal.aborted) throw error;
    if (/no identity matched/i.test(sentence(error))) throw wrongKey();
    if (error instanceof BkpError && error.exit !== 'failed') throw error;
    throw new BkpError('verifyFailed', `the stored stream cannot be opened: ${sentence(error)}`, { cause: error });
  }
}

async function* unpacked(packed: Bytes, tools: Tools): AsyncGenerator<Uint8Array> {
  try {
    yield* through(packed, createZstdDecompress(), tools);
  } catch (error) {
    if (error instanceof BkpError || tools.signal.aborted) throw error;
    throw new BkpError('verifyFailed', `the stored stream cannot be opened: ${sentence(error)}`, { cause: error });
  }
}
