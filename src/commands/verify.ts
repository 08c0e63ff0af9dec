import { randomBytes } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import type { Opened } from '../app.ts';
import type { Finding } from '../core/contracts.ts';
import type { ExitName } from '../core/errors.ts';
import { policyOf } from '../core/retention.ts';
import type { Proof } from '../ops/prove.ts';
import type { Verified } from '../ops/verify.ts';
import { formatBytes, formatTable } from '../report/format.ts';
import { withEach } from './everywhere.ts';
import { noticed, type Run, type Session, worst } from './session.ts';

interface Flags {
  deep?: boolean;
  proof: boolean;
  sample?: number;
  from?: string;
}

type Row = Verified & { target: string };

const percent = (text: string): number => {
  const match = /^(\d{1,3}(?:\.\d+)?)%?$/.exec(text);
  const value = Number(match?.[1]);
  if (!match || value <= 0 || value > 100) throw new InvalidArgumentError('It is a share of the bytes above 0 and at most 100, like 5%.');
  return value;
};

const WORD: Readonly<Record<Finding['state'], string>> = {
  damaged: 'DAMAGED',
  missing: 'MISSING',
  unreachable: 'SILENT',
  unproven: 'UNPROVEN',
  stray: 'stray',
  note: 'note',
};

const told = (target: string, { store, state, text, breaks = [] }: Finding): string[] => [
  `${WORD[state].padEnd(8)}  ${target} in store ${store}: ${text}`,
  ...breaks.map(line => `          breaks: ${line}`),
];

/** What the newest backup of a store was put through; what went wrong stands among the findings. */
const proofOf = ({ target, store, proof }: Row, proven: (proof: Proof) => boolean): string[] => {
  if (!proof) return [];
  const { backup, seconds, checks } = proof;
  const took = (found?: number): string => (found === undefined ? '' : ` (${found} s)`);
  return [
    `${proven(proof) ? 'PROVEN  ' : 'TRIED   '}  ${target} in store ${store}: backup ${backup} was restored and tried in ${seconds} s`,
    ...checks
      .filter(({ state }) => state === 'ok' || state === 'note')
      .map(each => `          ${each.name}: ${each.text}${took(each.seconds)}`),
  ];
};

/** What the notifiers hear of one target. */
function heardOf(target: string, exit: ExitName, seen: readonly Verified[]): Parameters<Session['outcome']>[0] {
  const faults = seen.flatMap(({ findings }) => findings).filter(({ state }) => state !== 'stray' && state !== 'note');
  const told = faults.map(({ store, state, text }) => `${WORD[state]} in store ${store}: ${text}`);
  const whole = seen.map(({ store, whole: good, backups }) => `${good} of ${backups} whole in store ${store}`);
  return { target, exit, message: [...whole, ...told].join('; ') };
}

const table = (rows: readonly Row[]): string[] =>
  formatTable(
    ['TARGET', 'STORE', 'BACKUPS', 'WHOLE', 'OBJECTS', 'READ BACK'],
    rows.map(row => [
      row.target,
      row.store,
      String(row.backups),
      String(row.whole),
      String(row.objects),
      row.bytesRead > 0 ? formatBytes(row.bytesRead) : '-',
    ]),
  );

/** `bkp verify [target] [name]`: what the stores hold, read back. */
export const verifyCommand = (run: Run): Command =>
  new Command('verify')
    .description('read back what the stores hold: signatures, presence, sizes, WAL without holes; with --deep every byte, and a restore')
    .argument('[target]', 'kind of target')
    .argument('[name]', 'entry of that kind')
    .option('--deep', 'read every byte and compare its SHA-256; restore the newest backup of each store and try that it works')
    .option('--no-proof', 'with --deep: restore nothing')
    .option('--sample <percent>', 'read that share of the bytes, another one each day', percent)
    .option('--from <store>', 'this store only')
    .action((kind: string | undefined, name: string | undefined, flags: Flags) =>
      noticed(run, { verb: 'verify', kind, name })(async session => {
        const { isProven } = await import('../ops/prove.ts');
        const { verdict, verifyTarget } = await import('../ops/verify.ts');
        const rows: Row[] = [];
        const ends: ExitName[] = [];
        const one = async ({ target, ctx, entry }: Opened): Promise<void> => {
          const { window } = policyOf(entry.retention);
          const seen = await verifyTarget(target, ctx, {
            deep: flags.deep ?? false,
            prove: flags.proof,
            random: () => randomBytes(8),
            ...(window === undefined ? {} : { window }),
            ...(flags.sample === undefined ? {} : { sample: flags.sample }),
          });
          rows.push(...seen.map(verified => ({ target: `${ctx.kind}/${ctx.name}`, ...verified })));
          ends.push(verdict(seen));
          session.outcome(heardOf(`${ctx.kind}/${ctx.name}`, verdict(seen), seen));
        };
        await withEach(session, { kind, name, from: flags.from }, one, (called, { exit, message }) => {
          ends.push(exit);
          session.outcome({ target: called, exit, message });
        });
        const end = worst(ends);
        session.result({ exit: end, stores: rows }, [
          ...rows.flatMap(row => [...proofOf(row, isProven), ...row.findings.flatMap(finding => told(row.target, finding))]),
          ...table(rows),
          end === 'done' ? 'everything that was looked at is good' : `verification ended with: ${end}`,
        ]);
        return end;
      }),
    );
