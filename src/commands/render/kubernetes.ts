import { Command } from 'commander';
import { BkpError } from '../../core/errors.ts';
import type { KubernetesOptions, World } from '../../core/render/kubernetes/types.ts';
import { type CommonFlags, chosen, give, type RenderDeps, schedulesOf, traitsOf, withCommon } from './deps.ts';

interface Flags extends CommonFlags {
  namespace?: string;
  existingNamespace?: boolean;
  image?: string;
  secretName: string;
  sealed?: boolean;
  storageClass?: string;
  storeSize: string;
  spoolSize: string;
  scratchSize: string;
  drillSize: string;
  pushgateway?: string;
  rules: boolean;
  nodeJobs?: boolean;
  lineage: string[];
  restore?: string;
  workload?: string;
  selector?: string;
  claim?: string;
  mount?: string;
  databaseImage?: string;
  runAs?: string;
  program: string;
  latest?: boolean;
  targetTime?: string;
  fromBackup?: string;
}

const NAMESPACE = 'bkp';

const optionsOf = (flags: Flags, deps: RenderDeps, walg: KubernetesOptions['walg']): KubernetesOptions => ({
  namespace: flags.namespace ?? NAMESPACE,
  existingNamespace: flags.existingNamespace ?? false,
  image: flags.image ?? `bkp:${deps.version}`,
  secretName: flags.secretName,
  sealed: flags.sealed ?? false,
  ...(flags.storageClass === undefined ? {} : { storageClass: flags.storageClass }),
  storeSize: flags.storeSize,
  spoolSize: flags.spoolSize,
  scratchSize: flags.scratchSize,
  drillSize: flags.drillSize,
  drill: flags.drill,
  schedules: schedulesOf(flags),
  ...(flags.pushgateway === undefined ? {} : { pushgateway: pushgatewayOf(flags.pushgateway) }),
  rules: flags.rules,
  nodeJobs: flags.nodeJobs ?? false,
  walg,
});

/** An address with a password in it would stand in a CronJob for everybody to read. */
function pushgatewayOf(text: string): string {
  const url = URL.parse(text);
  if (/^\$\{[A-Za-z_]\w*\}$/.test(text) || (url && /^https?:$/.test(url.protocol) && !url.username && !url.password)) return text;
  throw new BkpError('usage', '--pushgateway is no address of http:// or https:// without a user and a password', {
    next: "--pushgateway '${BKP_PUSHGATEWAY}' takes it from a Secret",
  });
}

const NEEDED = ['workload', 'selector', 'claim', 'databaseImage', 'runAs'] as const;

function wantOf(flags: Flags): string[] {
  if (flags.latest && flags.targetTime !== undefined)
    throw new BkpError('usage', 'only one of --latest and --target-time can be the target');
  const want = [
    ...(flags.fromBackup === undefined ? [] : ['--from-backup', flags.fromBackup]),
    ...(flags.targetTime === undefined ? [] : ['--target-time', flags.targetTime]),
  ];
  return flags.latest || want.length === 0 ? ['--latest', ...want] : want;
}

async function restore(deps: RenderDeps, flags: Flags): Promise<void> {
  const missing = NEEDED.filter(flag => flags[flag] === undefined).map(flag => `--${flag.replace(/[A-Z]/g, at => `-${at.toLowerCase()}`)}`);
  if (missing.length > 0) throw new BkpError('usage', `--restore also needs ${missing.join(', ')}`);
  const [kind, name, ...rest] = flags.restore!.split('/');
  if (!kind || !name || rest.length > 0)
    throw new BkpError('usage', `"${flags.restore}" is no target: --restore wants KIND/NAME, e.g. postgres/app`);
  if (!/^[1-9]\d{0,8}$/.test(flags.runAs!)) throw new BkpError('usage', `"${flags.runAs}" is no uid: it is a number above 0`);
  const { renderRestore } = await import('../../core/render/kubernetes/restore.ts');
  const { kustomizeBase, streamText } = await import('../../core/render/kubernetes/text.ts');
  const { config, env } = chosen(deps, kind, name);
  const world: World = { config, env, options: optionsOf(flags, deps, []), traits: traitsOf(deps.registry) };
  const objects = renderRestore(world, {
    ...{ kind, name, workload: flags.workload!, selector: flags.selector!, claim: flags.claim!, image: flags.databaseImage! },
    ...(flags.namespace === undefined ? {} : { namespace: flags.namespace }),
    ...(flags.mount === undefined ? {} : { mount: flags.mount }),
    uid: Number(flags.runAs),
    program: flags.program,
    want: wantOf(flags),
  });
  const head = [`The restore of ${kind}/${name} of the environment ${env.name}.`];
  await give(deps, flags, { text: streamText(head, objects), files: kustomizeBase(head, objects), warnings: [] });
}

async function jobs(deps: RenderDeps, kind: string | undefined, name: string | undefined, flags: Flags): Promise<void> {
  const { renderKubernetes } = await import('../../core/render/kubernetes/index.ts');
  const { kustomizeBase, streamText } = await import('../../core/render/kubernetes/text.ts');
  const { sha256 } = await import('../../ops/render/files.ts');
  const { lineagesOf, walgOf } = await import('../../ops/render/settings.ts');
  const { config, env, entries } = chosen(deps, kind, name);
  const walg = lineagesOf(flags.lineage).map(each => walgOf(deps.shown(config, env.name, 'postgres', each.name), each.lineage));
  const world: World = { config, env, options: optionsOf(flags, deps, walg), traits: traitsOf(deps.registry) };
  const { objects, warnings, notes } = renderKubernetes(world, entries, sha256);
  const head = [
    `The backups of the environment ${env.name}, by bkp ${deps.version}.`,
    ...warnings.map(text => `NOT IN HERE, or doubtful: ${text}`),
    ...(notes.length > 0
      ? ['The jobs read these Secrets, each job only the keys that it needs. A file per key, without a newline at its end:', ...notes]
      : []),
  ];
  await give(deps, flags, { text: streamText(head, objects), files: kustomizeBase(head, objects), warnings });
}

const gather = (text: string, before: string[]): string[] => [...before, text];

/** `bkp render kubernetes [target] [name]`: CronJobs and what they need; with `--restore`, one Job. */
export const kubernetesCommand = (deps: () => RenderDeps | Promise<RenderDeps>): Command =>
  withCommon(new Command('kubernetes'))
    .description(
      'CronJobs for backup, prune, verify, drill and status, the stream of WAL, and all that they need; or one Job that restores',
    )
    .option('--namespace <name>', `namespace of it all (default: ${NAMESPACE}; with --restore that of the workload)`)
    .option('--existing-namespace', 'leave the namespace out: somebody else makes it')
    .option('--image <ref>', 'image of bkp (default: bkp:VERSION)')
    .option('--secret-name <prefix>', 'what the names of the Secrets begin with', 'bkp')
    .option('--sealed', 'shapes of SealedSecrets to fill in, instead of the commands that make Secrets')
    .option('--storage-class <name>', "storage class of the claims (default: the cluster's own)")
    .option('--store-size <size>', 'claim of each target in each store that is a directory', '50Gi')
    .option('--spool-size <size>', 'claim of the spool of a stream', '10Gi')
    .option('--scratch-size <size>', 'most that a pod may take for temporary files', '10Gi')
    .option('--drill-size <size>', 'claim that a drill has while it runs: room for all that it brings back', '50Gi')
    .option('--pushgateway <url>', "give the figures of status to a Prometheus pushgateway, with alerts; '${NAME}' comes from a Secret")
    .option('--no-rules', 'with --pushgateway: no PrometheusRule')
    .option('--node-jobs', 'what has to run on a server node runs there as a privileged Job, instead of by systemd')
    .option('--lineage <name=lineage>', "WAL-G's settings for the pods of this database; once for each", gather, [])
    .option('--restore <kind/name>', 'a Job that restores into the claim of a workload')
    .option('--workload <kind/name>', 'restore: what is scaled to 0 before, e.g. statefulset/db')
    .option('--selector <labels>', 'restore: labels of its pods')
    .option('--claim <name>', 'restore: the claim with the data directory')
    .option('--mount <path>', 'restore: where the workload mounts it (default: the parent of `dataDir`)')
    .option('--database-image <ref>', "restore: the database's own image, of the same tag")
    .option('--run-as <uid>', 'restore: uid of the server in that image')
    .option('--program <path>', "restore: bkp's single file in the image of bkp", '/opt/bkp/bkp')
    .option('--latest', 'restore: everything that was archived; the default')
    .option('--target-time <time>', 'restore: the last state at or before this time')
    .option('--from-backup <id>', 'restore: this backup')
    .action(async (kind: string | undefined, name: string | undefined, flags: Flags) => {
      if (flags.restore !== undefined) await restore(await deps(), flags);
      else await jobs(await deps(), kind, name, flags);
    });
