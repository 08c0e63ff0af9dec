import { sep } from 'node:path';
import type { Manifest, TargetContext, Trial } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import { countsOf, lackingAccounts, lackingFiles, readBaseline } from './baseline.ts';
import type { SambaConfig } from './config.ts';
import { dbcheck } from './dbcheck.ts';
import { explained } from './errors.ts';
import { identityOf } from './identity.ts';
import { ask, type Look } from './look.ts';
import { checkPaths, confOf } from './paths.ts';
import { millis, type Tools } from './tools.ts';

type Context = TargetContext<SambaConfig>;

const fine = (name: string, text: string): Trial => ({ name, state: 'ok', text });
const bad = (name: string, text: string): Trial => ({ name, state: 'fail', text });

async function checked(ctx: Context, tools: Tools, to: string, dir: string, before: number): Promise<Trial> {
  const { objects, errors, first } = await dbcheck(tools, ['-s', confOf(to)], { dir, timeoutMs: millis(ctx, 'dbcheck') });
  if (errors === 0) return fine('dbcheck', `${objects} objects without an error`);
  const text = `${errors} error(s) in ${objects} objects${first ? `, the first: ${first}` : ''}`;
  if (errors <= before) return { name: 'dbcheck', state: 'note', text: `${text}; the DC had ${before} when it was backed up` };
  return bad('dbcheck', text);
}

function compared(seen: Look, manifest: Manifest): Trial[] {
  const baseline = readBaseline(manifest.baseline);
  const { domainSid, domainGuid } = identityOf(seen);
  const same = domainSid === manifest.identity['domainSid'] && domainGuid === manifest.identity['domainGuid'];
  const whose = same
    ? fine('identity', `${seen.realm}, ${seen.sid}`)
    : bad(
        'identity',
        `it is domain ${seen.realm} (${seen.sid}), and the backup is of ${manifest.identity['realm']} (${manifest.identity['domainSid']})`,
      );
  if (!baseline) return [whose, { name: 'baseline', state: 'unproven', text: 'the manifest has no baseline that this version reads' }];
  const counts = countsOf(seen);
  const accounts = lackingAccounts(baseline, counts).map(text => bad('baseline', `it has ${text}`));
  const files =
    seen.sysvol === null ? [`sysvol cannot be counted: ${seen.sysvolError}`] : lackingFiles(baseline.sysvol, seen.sysvol, 'now');
  return [
    whose,
    ...(accounts.length > 0
      ? accounts
      : [fine('baseline', `${counts.users} users, ${counts.computers} computers besides DCs, ${counts.groups} groups`)]),
    ...(files.length > 0
      ? files.map(text => bad('sysvol', text))
      : [fine('sysvol', `${seen.sysvol?.files} files, ${seen.sysvol?.policies} policies`)]),
  ];
}

async function places(to: string): Promise<Trial[]> {
  const { faults, absent, right } = await checkPaths(to);
  return [
    ...(faults.length > 0 ? faults.map(text => bad('paths', text)) : [fine('paths', `${right} paths of smb.conf are there`)]),
    ...absent.map((text): Trial => ({ name: 'paths', state: 'note', text })),
  ];
}

/**
 * Tries a restored domain without starting it: dbcheck over all partitions, whose it is, accounts and sysvol against what was counted at
 * the backup, each path of its smb.conf (SA07).
 * @param dir for temporary files
 * @throws the signal's reason
 */
export async function* inspectCopy(ctx: Context, tools: Tools, manifest: Manifest, to: string, dir: string): AsyncGenerator<Trial> {
  const steps: [string, () => Promise<Trial[]>][] = [
    ['dbcheck', async () => [await checked(ctx, tools, to, dir, readBaseline(manifest.baseline)?.dbcheckErrors ?? 0)]],
    ['baseline', async () => compared(await ask(tools, ['-s', confOf(to)], { timeoutMs: millis(ctx, 'ask') }), manifest)],
    ['paths', () => places(to)],
  ];
  for (const [name, step] of steps) {
    ctx.report.emit({ type: 'started', what: name });
    const began = ctx.clock.now().getTime();
    const trials = await step().catch(error => {
      ctx.signal.throwIfAborted();
      return [bad(name, sentence(explained(name, error)).replaceAll(`${to}${sep}`, ''))];
    });
    const seconds = Math.round((ctx.clock.now().getTime() - began) / 100) / 10;
    yield* trials.map((trial, n) => (n === 0 ? { ...trial, seconds } : trial));
  }
}
