import type { ZodType } from 'zod';
import type { ExitName } from '../errors.ts';

/** What may be told of. */
export const EVENTS = ['start', 'success', 'recovered', 'partial', 'late', 'failure'] as const;
export type NotifyEvent = (typeof EVENTS)[number];

/** Commands that notify. */
export const NOTIFYING = ['backup', 'prune', 'verify', 'restore', 'drill', 'status'] as const;
export type NotifyVerb = (typeof NOTIFYING)[number];

/** What a command is about to do. Without `kind` it is every target of the environment, without `name` every entry of the kind. */
export interface Task {
  verb: NotifyVerb;
  kind?: string | undefined;
  name?: string | undefined;
  /** A person is asked first, and may say no: then nothing began. */
  asks?: boolean;
}

/** What a command came to for one target. */
export interface Outcome {
  /** `redis/app`, or `full-dr`. */
  target: string;
  exit: ExitName;
  /** Only of `status`: what is red, or could not be looked at; absent when all is well. */
  state?: 'late' | 'failing' | 'unknown';
  /** A sentence or more. */
  message?: string;
  /** Of the backup that was taken. */
  id?: string;
  /** It went well, and the run before it did not. */
  recovered?: boolean;
}

/** What one notifier is told. Holds no secret. */
export interface Message {
  event: NotifyEvent | 'test';
  env: string;
  /** `redis/app`, several joined by `, `. */
  target: string;
  verb: string;
  exit: ExitName;
  /** The exit code of that name. */
  code: number;
  /** One line. */
  title: string;
  /** A line for each target. */
  message: string;
  /** Of the backup, when there is one. */
  id: string;
  /** How long the run took. */
  seconds: number;
  host: string;
  /** When it was told, ISO 8601 UTC. */
  at: string;
  /** A UUID that the start and the end of one run share. */
  run: string;
}

/** A message that was not taken. The text names no address. */
export class Undelivered extends Error {
  /** Whether another try may help. */
  readonly again: boolean;
  /** Milliseconds that the other side wants to be left alone. */
  readonly waitMs: number;
  constructor(message: string, options: { again: boolean; waitMs?: number; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'Undelivered';
    this.again = options.again;
    this.waitMs = options.waitMs ?? 0;
  }
}

/** One way of telling. */
export interface NotifierKind<C = any> {
  /** The fields of an entry of this type, beyond what every one has. */
  config: ZodType<C>;
  /** What it is told of unless `on` says otherwise. */
  on: readonly NotifyEvent[];
  /** It counts the runs, so that each is told, also a state that was told before. */
  counts?: boolean;
  /** Parts of the settings that are secrets by themselves, such as the path of an address. */
  secrets(config: C): readonly string[];
  /** Sends once. Throws Undelivered, and the signal's reason. */
  send(config: C, message: Message, signal: AbortSignal): Promise<void>;
}
