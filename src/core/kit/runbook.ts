import type { Environment } from '../config/index.ts';
import { optionArgs, restoreOptions } from '../restoreOptions.ts';
import { type Member, wavesOf } from '../waves.ts';
import { CONFIG, IDENTITY, type KitMeta, type KitTarget } from './types.ts';

/** What a kind says for the runbook, by `kind/name`. */
export interface RunbookHelp {
  place?: readonly string[];
  steps: readonly string[];
}

export interface RunbookInput {
  meta: Omit<KitMeta, 'files'>;
  env: Environment;
  /** Whose stores have the backups: `env` itself as a rule. */
  origin: Environment;
  help: ReadonlyMap<string, RunbookHelp>;
  /** Files of the host that were put in, by their paths there. */
  included: readonly string[];
}

const plainWord = (word: string): string => (/^[\w./:=,@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

const bkp = (env: string, ...words: readonly string[]): string =>
  ['bkp', '--config', CONFIG, '--env', env, ...words].map(plainWord).join(' ');

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] =>
  [head, head.map(() => '---'), ...rows].map(row => `| ${row.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`);

const fence = (...lines: readonly string[]): string[] => ['```sh', ...lines, '```'];

const idOf = ({ kind, name }: { kind: string; name: string }): string => `${kind}/${name}`;

/** Where an entry goes: as the config has it, else as its kind says, else into a directory that is easy to find. */
function placeWords(env: Environment, { kind, name }: KitTarget, help: RunbookHelp | undefined): string[] {
  const { fullDr, dataDir } = env.targets[kind]![name]!;
  if (fullDr.online) return ['--online'];
  const to = fullDr.to ?? (typeof dataDir === 'string' ? dataDir : undefined);
  if (to?.includes('${')) return [];
  return to === undefined ? [...(help?.place ?? ['--to', `/var/lib/bkp-restored/${kind}-${name}`])] : ['--to', to];
}

function restoreLine(input: RunbookInput, target: KitTarget): string {
  const { fullDr } = input.env.targets[target.kind]![target.name]!;
  const wanted = target.kind === 'samba' ? ['server-name', 'host-ip'] : [];
  const open = wanted.filter(option => !(option in fullDr.options)).flatMap(option => [`--${option}`, option.toUpperCase()]);
  const place = placeWords(input.env, target, input.help.get(idOf(target)));
  return bkp(input.meta.env, 'restore', target.kind, target.name, '--latest', ...place, ...optionArgs(fullDr.options), ...open);
}

function entryLines(input: RunbookInput, target: KitTarget): string[] {
  const newest = target.newest ? `backup ${target.newest.id}, state of ${target.newest.at}` : 'no backup was seen';
  const more = (restoreOptions[target.kind] ?? []).map(({ flags, text }) => `- \`${flags}\`: ${text}`);
  return [
    `### ${idOf(target)}`,
    '',
    `When the kit was made: ${newest}. \`--dry-run\` at the end shows the plan and changes nothing.`,
    '',
    ...fence(restoreLine(input, target)),
    ...(input.help.get(idOf(target))?.steps ?? []).flatMap(step => ['', step]),
    ...(more.length > 0 ? ['', 'Options of this kind:', '', ...more] : []),
    '',
  ];
}

const members = ({ env, meta }: RunbookInput): (Member & { target: KitTarget })[] =>
  meta.targets
    .filter(({ kind, name }) => !env.targets[kind]![name]!.fullDr.skip)
    .map(target => ({ kind: target.kind, name: target.name, after: env.targets[target.kind]![target.name]!.fullDr.after, target }));

function waves(input: RunbookInput): string[] {
  const skipped = input.meta.targets.filter(({ kind, name }) => input.env.targets[kind]![name]!.fullDr.skip);
  return [
    ...wavesOf(members(input)).waves.flatMap((wave, n) => [
      `## 4.${n + 1} Wave ${n + 1}`,
      '',
      ...(n === 0 ? [] : ['Begin when all of the waves before are back.', '']),
      ...wave.flatMap(({ target }) => entryLines(input, target)),
    ]),
    ...skipped.map(target => `${idOf(target)} comes back in another way (\`fullDr: { skip: true }\` in the config).`),
    ...(skipped.length > 0 ? [''] : []),
  ];
}

function storeLines({ origin, meta }: RunbookInput): string[] {
  const rows = Object.entries(origin.stores).map(([name, store]) => {
    const where =
      store.type === 'directory' ? `directory ${store['path']}` : `${store['endpoint'] ?? store['region'] ?? ''} ${store['bucket'] ?? ''}`;
    const keys = { own: 'keys of this kit alone', shared: 'keys with which the platform wrote', none: '' }[meta.storeKeys[name] ?? 'none'];
    return [name, store.type, where.trim(), keys];
  });
  const directories = Object.entries(origin.stores).filter(([, { type }]) => type === 'directory');
  return [
    ...table(['store', 'type', 'where', 'keys'], rows),
    '',
    ...directories.map(
      ([name, store]) =>
        `Store ${name} is a directory of a host or a share: mount it at ${store['path']}, or leave it. What the others hold restores without it.`,
    ),
    ...(directories.length > 0 ? [''] : []),
    '`--from STORE` at the end of a restore takes that store alone.',
    '',
  ];
}

function toolLines({ meta }: RunbookInput): string[] {
  const rows = meta.targets.flatMap(target =>
    target.tools.map(({ program, version, from }) => [idOf(target), program, version ?? '', from]),
  );
  const packages = [...new Set(['age', 'zstd', 'tar', ...rows.map(row => row[3]!).filter(from => /^[a-z0-9.+-]+$/.test(from))])];
  return [
    ...fence(`apt-get install ${packages.join(' ')}`),
    '',
    ...(rows.length > 0 ? [...table(['for', 'program', 'version of the source', 'package of Debian'], rows), ''] : []),
    `And ${meta.tool}, with Node.js 22.15 or newer.`,
    '',
  ];
}

function clusterLines({ meta }: RunbookInput): string[] {
  const keys = meta.cluster?.sealingKeys ?? [];
  if (keys.length === 0) return [];
  const namespaces = [...new Set(keys.map(({ namespace }) => namespace))];
  return [
    '## 5. Keys of sealed-secrets',
    '',
    'Once the cluster answers and before its SealedSecrets are applied. The controller reads its keys when it starts.',
    '',
    ...fence(
      'kubectl apply -f cluster/sealing-keys.json',
      ...namespaces.map(namespace => `kubectl --namespace ${namespace} delete pod --selector app.kubernetes.io/name=sealed-secrets`),
    ),
    '',
  ];
}

function fileLines({ included }: RunbookInput): string[] {
  if (included.length === 0) return [];
  return [
    '## Files of the old host',
    '',
    ...fence(...included.map(path => `install -D -m 600 ${plainWord(`files${path}`)} ${plainWord(path)}`)),
    '',
  ];
}

function afterLines({ meta }: RunbookInput): string[] {
  return [
    '## When all is back',
    '',
    '1. The kit has no signing key. Where backups run again: the old one, or a new one (`bkp keygen --dir DIR`) whose verify key is added to `keys.trusted` beside the old.',
    '2. Stores want keys that may write again, in the config of that host.',
    '3. Everything in this kit was open on this machine: make new ones of what follows, then remove the directory.',
    ...(meta.opens.length > 0
      ? [`   - keys.identity (\`${IDENTITY}\`): old backups stay sealed for it, so keep it beside the new one`]
      : []),
    ...meta.secrets.map(({ path, file }) => `   - ${path} (\`${file}\`)`),
    ...meta.leftOut.map(({ path, why }) => `   - ${path}: not in the kit: ${why}`),
    '4. Make a new kit.',
    '',
  ];
}

/** How the environment comes back, in the order of the waves, as Markdown. Commands are for a shell in the directory of the kit. */
export function runbook(input: RunbookInput): string {
  const { meta } = input;
  return [
    `# How ${meta.env} comes back`,
    '',
    `Kit ${meta.id} of ${meta.madeAt}. All that follows needs a clean Debian, this kit, and the network on the way to a store.`,
    '',
    '## 1. Programs',
    '',
    ...toolLines(input),
    '## 2. The kit',
    '',
    ...fence('bkp kit open bkp-kit.age --to /root/bkp-kit', 'cd /root/bkp-kit', bkp(meta.env, 'list')),
    '',
    'The table shows every backup by store. Without bkp:',
    '',
    ...fence('umask 077; mkdir /root/bkp-kit', 'age -d bkp-kit.age | tar -xz -C /root/bkp-kit'),
    '',
    `An object of a store opens by hand: \`cat OBJECT.* | age -d -i ${IDENTITY} | zstd -d\`.`,
    '',
    '## 3. Stores',
    '',
    ...storeLines(input),
    ...fileLines(input),
    '## 4. Restore',
    '',
    'All of it at once, looked at whole before anything changes, and gone on with when it is cut short:',
    '',
    ...fence(bkp(meta.env, 'restore', 'full-dr', '--latest', '--dry-run'), bkp(meta.env, 'restore', 'full-dr', '--latest')),
    '',
    'Or one after the other, in this order:',
    '',
    ...(input.env.protected ? [`Each restore asks for the name of the environment: type ${meta.env}.`, ''] : []),
    ...waves(input),
    ...clusterLines(input),
    ...afterLines(input),
  ].join('\n');
}
