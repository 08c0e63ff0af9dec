import type { Engine } from '../engine.ts';
import { capture } from './capture.ts';
import { push } from './push.ts';
import { stream } from './stream.ts';

/** WAL-G, which keeps its own archive in our stores. */
export const walg: Engine = { capture, push, stream };
