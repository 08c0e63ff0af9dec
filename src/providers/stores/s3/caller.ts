import type * as Sdk from '@aws-sdk/client-s3';
import { BkpError } from '../../../core/errors.ts';
import type { StoreHost } from '../host.ts';
import { type Clients, makeClients } from './client.ts';
import { type About, StoreFault, storeFault } from './errors.ts';
import { type Again, type Fault, faultOf } from './fault.ts';
import { retrying } from './retry.ts';
import type { Settings } from './settings.ts';
import { Slots } from './slots.ts';

type Command<I extends Sdk.ServiceInputTypes, O extends Sdk.ServiceOutputTypes> = Sdk.$Command<
  I,
  O,
  Sdk.S3ClientResolvedConfig,
  Sdk.ServiceInputTypes,
  Sdk.ServiceOutputTypes
>;

/** Makes the command of one try. */
export type Make<I extends Sdk.ServiceInputTypes, O extends Sdk.ServiceOutputTypes> = (sdk: typeof Sdk) => Command<I, O>;

export interface CallOptions {
  key?: string;
  /** Bytes of the body, for messages. */
  bytes?: number;
  /** Hex SHA-256 of the body: signed as it is, so that the store checks it and nothing is hashed twice. */
  sha256?: string;
  /** The answer may take its time: only `timeout` ends the wait. */
  patient?: boolean;
  signal?: AbortSignal;
}

/** An answer whose body still comes; `done` frees its connection. */
export interface Held<O> {
  output: O;
  done(): void;
}

/** Sends requests to one bucket: a slot each, retried, every failure a StoreFault. The SDK is loaded at the first one. */
export class Caller {
  readonly name: string;
  readonly settings: Settings;
  readonly host: StoreHost;
  /** Whether If-None-Match may be sent; a store that does not know the header says so once. */
  conditional: boolean;
  /** By how much the store's clock was ahead of ours in its last answer: milliseconds, to the second. */
  ahead: number | undefined;
  readonly #slots: Slots;
  #clients: Promise<Clients> | undefined;

  constructor(name: string, settings: Settings, host: StoreHost) {
    this.name = name;
    this.settings = settings;
    this.host = host;
    this.conditional = settings.conditional;
    this.#slots = new Slots(settings.connections);
  }

  /** `store NAME (bucket BUCKET at ENDPOINT)`, for sentences. */
  get where(): string {
    return `store ${this.name} (bucket ${this.settings.bucket} at ${this.settings.endpoint})`;
  }

  /** One operation to its end, its answer whole. Throws StoreFault. */
  async call<I extends Sdk.ServiceInputTypes, O extends Sdk.ServiceOutputTypes>(
    operation: string,
    make: Make<I, O>,
    options: CallOptions = {},
  ): Promise<O> {
    const { output, done } = await this.held(operation, make, options);
    done();
    return output;
  }

  /** One operation whose answer has a body: the connection is the caller's until it calls `done`. Throws StoreFault. */
  async held<I extends Sdk.ServiceInputTypes, O extends Sdk.ServiceOutputTypes>(
    operation: string,
    make: Make<I, O>,
    options: CallOptions = {},
  ): Promise<Held<O>> {
    let tries = 0;
    const { clock, random } = this.host;
    const { retries } = this.settings;
    const { signal } = options;
    return retrying(
      () => {
        tries += 1;
        return this.#once(make, options).catch(error => Promise.reject(this.#told(error, { operation, tries, ...options })));
      },
      {
        retries,
        clock,
        random,
        again: error => (error instanceof StoreFault && !signal?.aborted ? this.#again(error.fault) : 'never'),
        ...(signal ? { signal } : {}),
      },
    );
  }

  /** A fault that was noticed in an answer, worded as those of requests are. */
  fault(operation: string, message: string, key?: string): StoreFault {
    return storeFault({ message, again: 'never' }, this.#about({ operation, tries: 1, ...(key === undefined ? {} : { key }) }), undefined);
  }

  async #once<I extends Sdk.ServiceInputTypes, O extends Sdk.ServiceOutputTypes>(make: Make<I, O>, options: CallOptions): Promise<Held<O>> {
    this.#clients ??= makeClients(this.name, this.settings, date => this.#compare(date));
    const { sdk, quick, patient } = await this.#clients;
    const done = await this.#slots.take();
    const time = AbortSignal.timeout(this.settings.timeout);
    try {
      const command = make(sdk);
      if (options.sha256 !== undefined) carrySha256(command, options.sha256);
      const abortSignal = options.signal ? AbortSignal.any([time, options.signal]) : time;
      const output = await (options.patient ? patient : quick).send(command, { abortSignal });
      return { output, done };
    } catch (error) {
      done();
      throw time.aborted ? new Error(`it took longer than the ${this.settings.timeout / 1000} s of its timeout`, { cause: error }) : error;
    }
  }

  /** An address that answered before is right, and whoever refuses there now is starting again. */
  #again({ again }: Fault): Again {
    return again === 'few' && this.ahead !== undefined ? 'many' : again;
  }

  #compare(date: Date): void {
    this.ahead = date.getTime() - this.host.clock.now().getTime();
  }

  #about({ operation, tries, key, bytes }: Pick<About, 'operation' | 'tries'> & CallOptions): About {
    return {
      store: this.name,
      settings: this.settings,
      operation,
      tries,
      now: this.host.clock.now(),
      ...(key === undefined ? {} : { key }),
      ...(bytes === undefined ? {} : { bytes }),
    };
  }

  #told(error: unknown, about: Pick<About, 'operation' | 'tries'> & CallOptions): BkpError {
    return error instanceof BkpError ? error : storeFault(faultOf(error), this.#about(about), error);
  }
}

/** Set before the request is signed, so that the signature covers it. */
function carrySha256<I extends Sdk.ServiceInputTypes, O extends Sdk.ServiceOutputTypes>(command: Command<I, O>, sha256: string): void {
  command.middlewareStack.add(
    next => args => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = sha256;
      return next(args);
    },
    { step: 'build', name: 'bkpSha256', priority: 'low' },
  );
}
