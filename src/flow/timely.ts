import type { Readable } from 'node:stream';

/**
 * The bytes of a stream, which is given up when none comes for `ms` milliseconds while its reader waits; how slow the reader is does not
 * count. It is destroyed at the end, whoever ends it.
 * @param late the error that the reader then gets
 */
export async function* timely(stream: Readable, ms: number, late: () => Error): AsyncGenerator<Uint8Array> {
  let waiting = false;
  const timer = setTimeout(() => waiting && stream.destroy(late()), ms);
  const chunks = stream[Symbol.asyncIterator]();
  try {
    for (;;) {
      waiting = true;
      timer.refresh();
      const { done, value } = await chunks.next();
      waiting = false;
      if (done) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
    stream.destroy();
  }
}
