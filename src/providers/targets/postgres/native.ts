import { capture } from './capture.ts';
import type { Engine } from './engine.ts';
import { push } from './log.ts';
import { stream } from './stream.ts';

/** PostgreSQL's own tools down our line: pg_basebackup and pg_receivewal. */
export const native: Engine = { capture, push, stream };
