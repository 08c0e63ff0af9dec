import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  type Config,
  type Environment,
  entry,
  environment,
  findConfig,
  lazySecrets,
  parseConfig,
  type Registry,
  redactor,
  refuseExpanded,
  resolveSecrets,
  type SecretSource,
  type TargetEntry,
} from './core/config/index.ts';
import type { ManifestCache, Reporter, StackContext, Store, Target, TargetContext } from './core/contracts.ts';
import { parseDuration } from './core/duration.ts';
import { BkpError, sentence } from './core/errors.ts';
import { joinKey } from './core/key.ts';
import { CONFIG } from './core/kit/types.ts';
import { meant } from './core/near.ts';
import type { NotifierKind } from './core/notify/types.ts';
import { makeKeys } from './flow/keys.ts';
import type { Hooks } from './ops/hooks.ts';
import type { Notifier } from './ops/notify/deliver.ts';
import { notifiers as notifierKinds } from './providers/notifiers/index.ts';
import { stores as storeKinds } from './providers/stores/index.ts';
import { shutStore } from './providers/stores/shut.ts';
import { targets } from './providers/targets/index.ts';
import { systemClock } from './system/clock.ts';
import { cacheDir, manifestCache } from './system/manifestCache.ts';
import { startApart, systemRunner } from './system/runner.ts';
import { makeScratch, sweepScratch } from './system/scratch.ts';
import { readConfig, secretSource } from './system/secrets.ts';

/** Flags that every command takes. */
export interface GlobalOptions {
  config?: string;
  env?: string;
  json?: boolean;
  quiet?: boolean;
  verbose?: boolean;
  color?: boolean;
}

const seen = new Set<string>();

/** Secrets that were resolved so far are taken out of every text that leaves. */
export const redact = redactor(seen);
export const source = secretSource(process.env, seen);
/** For what may be read by everybody, such as public keys. */
const open = secretSource(process.env);

/** For what is shown: secrets stay the references that they are. */
const referring = { ...open, keep: true };

/** Neither a path nor a program can be found from a directory that was removed. Throws BkpError('usage'). */
function assertHere(): void {
  try {
    process.cwd();
  } catch (cause) {
    throw new BkpError('usage', 'the directory in which bkp was started is not there any more', { next: 'cd to one that is', cause });
  }
}

const cached = cacheDir(process.env);
const cache = cached ? manifestCache(cached) : undefined;

/** Where the texts of a config come from. */
interface Sources {
  secret: SecretSource;
  /** For what may be read by everybody. */
  open: SecretSource;
  cache?: ManifestCache | undefined;
}

const host: Sources = { secret: source, open, cache };

/** How many stores may be such that cannot be opened on this host: `some` = not all of them, `all` = whatever opens is enough. */
type Shut = 'none' | 'some' | 'all';

/** What stays of this host's environment where nothing of it may be used: where programs are, and where temporary files go. */
const STAYS = ['PATH', 'TMPDIR'];

export const registry: Registry = { kinds: targets, stores: storeKinds, notifiers: notifierKinds };

/** One target of one environment, ready to work with. */
export interface Opened {
  target: Target;
  ctx: TargetContext;
  entry: TargetEntry;
  env: Environment;
}

/** The composition root: config, stores, keys and scratch space of one run. */
export class App {
  readonly config: Config;
  /** The config as it is written. */
  readonly text: string;
  readonly #from: Sources;
  readonly clock = systemClock;
  readonly #report: Reporter;
  readonly #signal: AbortSignal;
  readonly #stores = new Map<string, Store>();
  readonly #scratch: string[] = [];
  #swept: Promise<void> | undefined;

  constructor(config: Config, text: string, report: Reporter, signal: AbortSignal, from = host) {
    this.config = config;
    this.text = text;
    this.#from = from;
    this.#report = report;
    this.#signal = signal;
  }

  /** Reads the config and tries the temporary directory. Throws BkpError('usage'). */
  static async open(options: GlobalOptions, report: Reporter, signal: AbortSignal): Promise<App> {
    assertHere();
    const { file, text } = readConfig(options.config);
    const config = parseConfig(text, file, registry);
    refuseExpanded(config, text, open);
    if (config.temp) process.env['TMPDIR'] = resolveSecrets(config.temp, 'temp', open);
    // Programs that are started in other directories get it, too.
    if (process.env['TMPDIR']) process.env['TMPDIR'] = resolve(process.env['TMPDIR']);
    await tryTemp(tmpdir());
    return new App(config, text, report, signal);
  }

  /** As `open`; undefined where no config was named and none is in the usual places. */
  static async ifAny(options: GlobalOptions, report: Reporter, signal: AbortSignal): Promise<App | undefined> {
    try {
      findConfig({ flag: options.config, env: process.env, exists: existsSync });
    } catch (error) {
      if (options.config ?? process.env['BKP_CONFIG']) throw error;
      return undefined;
    }
    return App.open(options, report, signal);
  }

  /**
   * A config with nothing but the files that come with it: no variable, no file and no home of this host. For the rest of the process.
   * @param files by their paths from the config on
   */
  static async alone(text: string, files: ReadonlyMap<string, Buffer>, report: Reporter, signal: AbortSignal): Promise<App> {
    await tryTemp(tmpdir());
    const readFile = (path: string): string => {
      const bytes = files.get(path.replace(/^\.\//, ''));
      if (!bytes) throw new Error('it is not in the kit');
      return bytes.toString('utf8');
    };
    const only = { env: {}, readFile };
    const from = { secret: { ...only, onSecret: (value: string) => void seen.add(value) }, open: only };
    const app = new App(parseConfig(text, CONFIG, registry), text, report, signal, from);
    for (const name of Object.keys(process.env)) if (!STAYS.includes(name)) delete process.env[name];
    process.env['HOME'] = await app.scratch();
    return app;
  }

  env = (name?: string): Environment => environment(this.config, name);

  /** Every target of an environment, or the one kind, or the one entry. Throws BkpError when the name fits none. */
  select(envName: string | undefined, kind?: string, name?: string): { kind: string; name: string }[] {
    const env = this.env(envName);
    if (kind !== undefined) checkKind(kind);
    if (kind !== undefined && name !== undefined) return [{ kind, name: entry(env, kind, name).name }];
    const kinds = kind === undefined ? Object.keys(env.targets) : [kind];
    const found = kinds.flatMap(each => Object.keys(env.targets[each] ?? {}).map(entryName => ({ kind: each, name: entryName })));
    if (found.length === 0)
      throw new BkpError('notFound', `environment ${env.name} has no ${kind ?? 'targets'} in ${this.config.file}`, {
        next: `add one under environments.${env.name}`,
      });
    return found;
  }

  /**
   * Opens one target with its stores; `from` leaves one store only. `backupsOf` is the environment whose backups are read. With `shown`
   * its secrets stay `${…}`: it can be looked at, and not used. A store whose secret is missing is one that does not answer, and where
   * none has its own, the first refuses; `shut` makes that stricter or laxer.
   */
  target(
    envName: string | undefined,
    kind: string,
    name?: string,
    options: { from?: string; backupsOf?: string; shown?: boolean; shut?: Shut } = {},
  ): Opened {
    const env = this.env(envName);
    const target = checkKind(kind);
    const chosen = entry(env, kind, name);
    const origin = options.backupsOf ? this.env(options.backupsOf) : env;
    const stores = entry(origin, kind, chosen.name).entry.stores;
    const { secret, cache } = this.#from;
    const from = options.shown ? referring : secret;
    const ctx: TargetContext = {
      env: origin.name,
      kind,
      name: chosen.name,
      config: this.#settings(env, kind, chosen.name, chosen.entry, from),
      base: joinKey(origin.prefix, origin.name, kind, chosen.name),
      stores: this.#storesOf(
        origin,
        stores.filter(store => isAsked(store, stores, options.from)),
        from,
        options.shut,
      ),
      need: chosen.entry.need,
      keys: this.#keys(options.shown),
      timezone: this.config.timezone,
      weekStart: this.config.weekStart,
      run: systemRunner,
      clock: systemClock,
      report: this.#report,
      redact,
      signal: this.#signal,
      scratch: () => this.scratch(),
      ...(cache ? { cache } : {}),
    };
    return { target: target.variant?.(ctx.config) ?? target, ctx, entry: chosen.entry, env };
  }

  /** An environment as a whole, with every store that one of its targets uses; `from` leaves one store only. */
  stack(envName: string | undefined, options: { from?: string | undefined; shut?: Shut } = {}): StackContext {
    const env = this.env(envName);
    const used = Object.values(env.targets).flatMap(entries => Object.values(entries).flatMap(({ stores }) => stores));
    const names = Object.keys(env.stores).filter(name => used.includes(name));
    return {
      env: env.name,
      base: joinKey(env.prefix, env.name),
      stores: this.#storesOf(
        env,
        names.filter(name => isAsked(name, names, options.from)),
        this.#from.secret,
        options.shut,
      ),
      keys: this.#keys(),
      clock: systemClock,
      report: this.#report,
      redact,
      signal: this.#signal,
    };
  }

  /** The notifiers of an environment. Their secrets are read when each is opened, so that one whose secret is missing stops no other. */
  notifiers(envName?: string): Notifier[] {
    const env = this.env(envName);
    return Object.entries(env.notify ?? {}).map(([name, entry]): Notifier => {
      const { type, on, verbs, targets: wanted, timeout, repeat, ...own } = entry;
      const kind = notifierKinds[type]!;
      const path = `environments.${env.name}.notify.${name}`;
      return {
        name,
        type,
        on,
        verbs,
        targets: wanted,
        timeoutMs: parseDuration(timeout),
        repeatMs: kind.counts ? 0 : parseDuration(repeat),
        open: () => opened(kind, resolveSecrets(own, path, this.#from.secret)),
      };
    });
  }

  /** The hooks around the backup of an entry. Throws BkpError('usage') when a variable for them is missing. */
  hooks(envName: string | undefined, kind: string, name: string): Hooks {
    const env = this.env(envName);
    const { timeout, env: variables, ...programs } = entry(env, kind, name).entry.hooks!;
    const path = `environments.${env.name}.${kind}.${name}.hooks`;
    const resolved = resolveSecrets({ ...programs, env: variables }, path, this.#from.secret);
    return { ...resolved, timeoutMs: parseDuration(timeout) };
  }

  #keys(shown = false) {
    const { keys } = this.config;
    const { secret } = this.#from;
    const open = shown ? referring : this.#from.open;
    return makeKeys({
      recipients: resolveSecrets(keys.recipients, 'keys.recipients', open),
      trusted: resolveSecrets(keys.trusted, 'keys.trusted', open),
      ...(keys.identity ? { identity: () => resolveSecrets(keys.identity!, 'keys.identity', secret) } : {}),
      ...(keys.signing ? { signing: () => resolveSecrets(keys.signing!, 'keys.signing', secret) } : {}),
    });
  }

  /** Opens every target that `select` chooses, one after the other; a store whose secret is missing is one that does not answer. With
   * `from` those that use that store; where none does, the first refuses. */
  *targets(envName: string | undefined, kind?: string, name?: string, options: { from?: string | undefined } = {}): Generator<Opened> {
    const from = options.from ? { from: options.from } : {};
    const all = this.select(envName, kind, name);
    const env = this.env(envName);
    const having = all.filter(each => options.from && entry(env, each.kind, each.name).entry.stores.includes(options.from));
    const chosen = having.length > 0 ? having : all;
    const shut: Shut = chosen.length > 1 ? 'all' : 'some';
    for (const each of chosen) yield this.target(envName, each.kind, each.name, { ...from, shut });
  }

  async scratch(): Promise<string> {
    this.#swept ??= this.#sweep();
    await this.#swept;
    const { dir, whole } = await makeScratch(tmpdir());
    this.#scratch.push(whole);
    return dir;
  }

  /** Once in a run; what cannot be removed is in nobody's way but that of the disk. */
  async #sweep(): Promise<void> {
    try {
      const count = await sweepScratch(tmpdir());
      if (count === 0) return;
      const what = count === 1 ? 'a directory of temporary files was' : `${count} directories of temporary files were`;
      this.#report.emit({ type: 'note', text: `${what} left in ${tmpdir()} by a bkp that was killed, and removed` });
    } catch (error) {
      this.#report.emit({ type: 'note', text: `what a bkp that was killed left in ${tmpdir()} cannot be removed: ${sentence(error)}` });
    }
  }

  /** Starts bkp once more, as a process that outlives this one and says nothing. */
  apart(args: readonly string[], options: GlobalOptions): void {
    const given = [...(options.config ? ['--config', options.config] : []), ...(options.env ? ['--env', options.env] : [])];
    startApart([...given, ...args]);
  }

  async close(): Promise<void> {
    for (const dir of this.#scratch.splice(0)) await rm(dir, { recursive: true, force: true });
  }

  /**
   * The kind's own settings: what every entry has is the program's, not the target's. A secret is resolved when it is used: a restore
   * needs no password of the server that is gone.
   */
  #settings(env: Environment, kind: string, name: string, chosen: TargetEntry, from: SecretSource): unknown {
    const {
      stores: _stores,
      need: _need,
      schedule: _schedule,
      rpo: _rpo,
      retention: _retention,
      alarmBelow: _alarm,
      pruneShare: _share,
      fullDr: _fullDr,
      hooks: _hooks,
      ...own
    } = chosen;
    return lazySecrets(own, `environments.${env.name}.${kind}.${name}`, from);
  }

  #storesOf(env: Environment, names: readonly string[], from: SecretSource, shut: Shut = 'some'): Store[] {
    const faults: BkpError[] = [];
    const opened = names.map(name => {
      try {
        return this.#store(env, name, from);
      } catch (error) {
        if (shut === 'none' || !(error instanceof BkpError)) throw error;
        faults.push(error);
        return shutStore(name, error);
      }
    });
    const [first] = faults;
    if (first && shut === 'some' && faults.length === names.length) throw first;
    return opened;
  }

  #store(env: Environment, name: string, from: SecretSource): Store {
    const key = `${env.name}/${name}${from.keep ? ' shown' : ''}`;
    const open = this.#stores.get(key) ?? this.#openStore(env, name, from);
    this.#stores.set(key, open);
    return open;
  }

  #openStore(env: Environment, name: string, from: SecretSource): Store {
    const settings = env.stores[name];
    if (!settings) throw new BkpError('usage', `environment ${env.name} has no store "${name}"`);
    const resolved = resolveSecrets(settings, `environments.${env.name}.stores.${name}`, from);
    return storeKinds[settings.type]!.open(name, resolved, { prefix: env.prefix, clock: systemClock, random: randomBytes });
  }
}

/** Ready to send; what in the settings is secret is taken out of every text from now on. */
function opened(kind: NotifierKind, config: unknown): ReturnType<Notifier['open']> {
  for (const secret of kind.secrets(config)) seen.add(secret);
  return { send: (message, signal) => kind.send(config, message, signal) };
}

/** Identities, sockets and spools of an operation live there: a file is really written, since permissions say nothing on a read-only mount. */
async function tryTemp(dir: string): Promise<void> {
  try {
    const trial = await makeScratch(dir);
    await writeFile(join(trial.dir, 'trial'), 'x').finally(() => rm(trial.whole, { recursive: true, force: true }));
  } catch (error) {
    throw new BkpError('usage', `the directory for temporary files, ${dir}, cannot be written: ${sentence(error)}`, {
      next: '`temp:` in the config, or TMPDIR, names another one',
      cause: error,
    });
  }
}

function checkKind(kind: string): Target {
  const target = Object.hasOwn(targets, kind) ? targets[kind] : undefined;
  const all = Object.keys(targets);
  if (!target) throw new BkpError('usage', `there is no target "${kind}"${meant(kind, all)}`, { next: `one of: ${all.join(', ')}` });
  return target;
}

function isAsked(store: string, all: readonly string[], from: string | undefined): boolean {
  if (from !== undefined && !all.includes(from))
    throw new BkpError('usage', `there is no store "${from}" here`, { next: `--from with one of: ${all.join(', ')}` });
  return from === undefined || store === from;
}
