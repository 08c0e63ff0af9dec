import { Command, Option } from 'commander';
import type { Environment } from '../core/config/types.ts';
import type { Store, TargetContext } from '../core/contracts.ts';
import { parseDuration } from '../core/duration.ts';
import { BkpError, type ExitName, sentence } from '../core/errors.ts';
import { environmentSection } from '../core/key.ts';
import type { DrillStatus, KitStatus, NotifierStatus, StatusReport, TargetStatus, Why } from '../core/status/types.ts';
import type { Run, Session } from './session.ts';

interface Flags {
  hidden?: boolean;
  textfile?: string;
  pushgateway?: string;
  listen?: string;
  every: string;
}

/** Targets asked at once: most of the time is spent waiting. */
const AT_ONCE = 4;

async function gather(session: Session, kind: string | undefined, name: string | undefined, hidden: boolean): Promise<StatusReport> {
  const [{ default: pMap }, { statusTarget }] = await Promise.all([import('p-map'), import('../ops/status/index.ts')]);
  const { app, options } = session;
  const env = app.env(options.env);
  const contexts: TargetContext[] = [];
  const targets = await pMap(
    app.select(options.env, kind, name),
    async each => {
      const { target, ctx, entry } = app.target(options.env, each.kind, each.name, { shut: 'all' });
      contexts.push(ctx);
      return statusTarget(target, ctx, entry, { hidden });
    },
    { concurrency: AT_ONCE },
  );
  const at = new Date();
  const drills = await drillsOf(env, contexts, targets, at);
  const kit = await kitOf(session, env, contexts, targets, at);
  return { env: env.name, at: at.toISOString(), targets, drills, kit, notifiers: await notifiersOf(session) };
}

/** How those who are told of runs last fared. */
async function notifiersOf({ app, options, report }: Session): Promise<readonly NotifierStatus[]> {
  const notifiers = app.notifiers(options.env);
  if (notifiers.length === 0) return [];
  const { notifierStatus } = await import('../ops/notify/health.ts');
  try {
    return await notifierStatus(app.stack(options.env, { shut: 'all' }), notifiers);
  } catch (error) {
    report.emit({ type: 'note', text: `how the notifiers fared is not known: ${sentence(error)}` });
    return [];
  }
}

/** What the notifiers hear: what is red, each target and each notifier for itself. */
function tell(session: Session, { targets, notifiers = [] }: StatusReport, redOf: (target: TargetStatus) => readonly Why[]): void {
  for (const target of targets) {
    const red = redOf(target);
    const state = red.some(why => why.state === 'failing')
      ? 'failing'
      : red.length > 0
        ? 'late'
        : target.state === 'unknown'
          ? 'unknown'
          : undefined;
    session.outcome({
      target: `${target.kind}/${target.name}`,
      exit: red.length > 0 ? 'unhealthy' : 'done',
      ...(state ? { state } : {}),
      message: red.map(({ text }) => text).join('; ') || 'nothing is late and nothing fails',
    });
  }
  for (const { name, state, failures, error } of notifiers.filter(({ failureAt }) => failureAt !== undefined))
    session.outcome({
      target: `notify/${name}`,
      exit: state === 'failing' ? 'unhealthy' : 'done',
      ...(state === 'failing' ? { state, message: `${failures} message(s) in a row did not arrive: ${error}` } : {}),
    });
}

/** The stores of these targets that answered. */
function answering(contexts: readonly TargetContext[], targets: readonly TargetStatus[]): Store[] {
  const up = new Set(targets.flatMap(({ stores }) => stores.filter(each => each.up).map(({ store }) => store)));
  return [...new Map(contexts.flatMap(ctx => ctx.stores.filter(({ name }) => up.has(name)).map(store => [store.name, store]))).values()];
}

/** What the stores of these targets tell of the environment's kit. */
async function kitOf(
  { app }: Session,
  env: Environment,
  contexts: readonly TargetContext[],
  targets: readonly TargetStatus[],
  at: Date,
): Promise<KitStatus> {
  const [{ kitHealth }, { registry }] = await Promise.all([import('../ops/status/kit.ts'), import('../app.ts')]);
  return kitHealth({ config: app.config, text: app.text, registry, env: env.name }, contexts[0]!, answering(contexts, targets), at);
}

/** What the stores of these targets tell of drills. */
async function drillsOf(
  env: Environment,
  contexts: readonly TargetContext[],
  targets: readonly TargetStatus[],
  at: Date,
): Promise<DrillStatus> {
  const [{ lastDrill }, { drillStatus }] = await Promise.all([import('../ops/status/drills.ts'), import('../core/status/drills.ts')]);
  const { base, keys, report } = contexts[0]!;
  const records = { section: environmentSection(base, 'drills'), keys, report };
  const { newest, silent } = await lastDrill(answering(contexts, targets), records);
  const part = targets.filter(({ kind, name }) => !env.targets[kind]![name]!.fullDr.skip);
  const { every } = env.drills;
  return drillStatus(newest, part, every === undefined ? undefined : parseDuration(every), silent, at);
}

const colorful = ({ color }: Session['options']): boolean => color !== false && !process.env['NO_COLOR'] && process.stdout.isTTY === true;

/**
 * Gives the figures to Prometheus. A part of the targets is a group of its own there, and does not take the others' place.
 * @throws BkpError('failed') when they were not taken: then nobody is told what is late
 */
async function publish(session: Session, report: StatusReport, flags: Flags, part: Readonly<Record<string, string>>): Promise<void> {
  const { metricsText } = await import('../report/metrics.ts');
  const text = await metricsText(report);
  const ways = [
    flags.textfile && import('../ops/status/textfile.ts').then(({ writeWhole }) => writeWhole(flags.textfile!, text)),
    flags.pushgateway &&
      import('../ops/status/pushgateway.ts').then(({ push }) =>
        push(flags.pushgateway!, { env: report.env, ...part }, text, session.signal),
      ),
  ];
  const failed = (await Promise.allSettled(ways)).flatMap(each => (each.status === 'rejected' ? [each.reason as unknown] : []));
  if (failed.length === 1) throw failed[0];
  if (failed.length > 1) throw new BkpError('failed', failed.map(sentence).join('; '), { cause: failed[0] });
}

async function show(session: Session, kind: string | undefined, name: string | undefined, flags: Flags): Promise<ExitName> {
  const [{ exitOf, isRed, partsOf }, { statusText }] = await Promise.all([
    import('../core/status/verdict.ts'),
    import('../report/statusText.ts'),
  ]);
  const report = await gather(session, kind, name, flags.hidden ?? false);
  const exit = exitOf(report);
  tell(session, report, target => partsOf(target).flatMap(({ why }) => why.filter(({ state }) => isRed(state))));
  session.result({ exit, ...report }, statusText(report, { color: colorful(session.options) }));
  if (flags.textfile || flags.pushgateway) await publish(session, report, flags, { ...(kind ? { kind } : {}), ...(name ? { name } : {}) });
  return exit;
}

/** Looks and answers until it is told to stop; alerts are the business of whoever asks. */
async function listen(session: Session, kind: string | undefined, name: string | undefined, flags: Flags): Promise<ExitName> {
  const [{ parseAddress }, { serveStatus }, { metricsText }, { exitOf }] = await Promise.all([
    import('../core/status/listen.ts'),
    import('../ops/status/serve.ts'),
    import('../report/metrics.ts'),
    import('../core/status/verdict.ts'),
  ]);
  const { app, options, report, signal } = session;
  const address = parseAddress(flags.listen!);
  const everyMs = parseDuration(flags.every);
  if (everyMs < 1000) throw new BkpError('usage', `--every ${flags.every} is too often; allowed is a second or more`);
  if (flags.textfile || flags.pushgateway)
    throw new BkpError('usage', '--listen goes with neither --textfile nor --pushgateway: the figures would be there twice');
  app.select(options.env, kind, name);
  const stack = app.stack(options.env, { shut: 'all' });
  const where = address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
  await serveStatus(address, {
    env: app.env(options.env).name,
    everyMs,
    clock: stack.clock,
    signal,
    redact: text => stack.redact?.(text) ?? text,
    metrics: metricsText,
    listening() {
      report.emit({ type: 'note', text: `http://${where}/metrics, /healthz and /status.json, looked at anew every ${flags.every}` });
      if (!address.loopback)
        report.emit({
          type: 'warning',
          text: `${where} asks nobody who they are: whoever reaches it reads names, ages and sizes of backups`,
        });
    },
    failed: text => report.emit({ type: 'warning', text: `the look failed: ${text}` }),
    async look() {
      try {
        const gathered = await gather(session, kind, name, flags.hidden ?? false);
        return { report: gathered, exit: exitOf(gathered) };
      } finally {
        await app.close();
      }
    },
  });
  return signal.reason instanceof BkpError ? signal.reason.exit : 'done';
}

/** `bkp status [target] [name]`: what is late or fails, from the stores. Exit 10 when anything is red. */
export const statusCommand = (run: Run): Command =>
  new Command('status')
    .description('what is late or fails: age of backups and log against schedule and RPO, from the stores; exit 10 when anything is red')
    .argument('[target]', 'kind of target')
    .argument('[name]', 'entry of that kind')
    .option('--hidden', 'count old versions too, which no listing shows and which are paid for; a longer listing')
    .option('--textfile <path>', "write the figures for node_exporter's textfile collector; PATH ends in .prom")
    .addOption(new Option('--pushgateway <url>', 'send the figures to a Prometheus pushgateway').env('BKP_PUSHGATEWAY'))
    .option('--listen <address:port>', 'go on and answer /metrics, /healthz and /status.json there; without an address at 127.0.0.1')
    .option('--every <duration>', 'with --listen: between two looks', '1m')
    .action((kind: string | undefined, name: string | undefined, flags: Flags) =>
      flags.listen === undefined
        ? run(session => show(session, kind, name, flags), { verb: 'status', kind, name })
        : run(session => listen(session, kind, name, flags)),
    );
