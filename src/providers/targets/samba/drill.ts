import { join } from 'node:path';
import type { Manifest, ProofRequest, TargetContext, Trial } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { type Apart, cannotStart, startApart, surround } from './apart.ts';
import { countsOf, lackingAccounts, lackingFiles, readBaseline } from './baseline.ts';
import { EXERCISE, exerciseArgs, judgeExercise } from './checks.ts';
import type { SambaConfig } from './config.ts';
import { explained } from './errors.ts';
import { type Look, parseLook } from './look.ts';
import { QUESTION } from './question.ts';
import { millis, type Tools } from './tools.ts';

type Context = TargetContext<SambaConfig>;

const PAUSE_MS = 250;

const isOfHost = (text: string): boolean =>
  /No space left|Cannot allocate|Too many open files|Permission denied|Operation not permitted|SIGKILL/i.test(text);

/**
 * Asks the started copy over the network until it answers, by a Kerberos ticket, LDAP and SMB. smbd is a process of its own, and on a busy
 * host not there yet when LDAP is (4.17): an answer without sysvol is taken only once the time is over.
 */
async function firstAnswer(ctx: Context, apart: Apart, question: () => Promise<Look>): Promise<Look> {
  const end = ctx.clock.now().getTime() + millis(ctx, 'start');
  for (;;) {
    const late = () => ctx.clock.now().getTime() >= end;
    try {
      const seen = await question();
      if (seen.sysvol || late()) return seen;
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (!apart.running()) throw new BkpError('verifyFailed', `samba ended at once: ${apart.said()}`);
      if (late()) throw explained('the started copy did not answer in time', error);
    }
    await ctx.clock.sleep(PAUSE_MS, ctx.signal);
  }
}

function judgedAnswer(seen: Look, manifest: Manifest): Trial[] {
  const baseline = readBaseline(manifest.baseline);
  const lacks = baseline ? lackingAccounts(baseline, countsOf(seen)) : [];
  const files = baseline && seen.sysvol ? lackingFiles(baseline.sysvol, seen.sysvol, 'over SMB') : [];
  const smb = seen.sysvol === null ? [`sysvol cannot be read over SMB: ${seen.sysvolError}`] : files;
  return [
    { name: 'ticket', state: 'ok', text: `the KDC of the copy gave a ticket to ${seen.ticket}` },
    lacks.length > 0
      ? { name: 'ldap', state: 'fail', text: `over LDAP it has ${lacks.join('; ')}` }
      : { name: 'ldap', state: 'ok', text: `${seen.users} users found over LDAP, under ${seen.sid}` },
    smb.length > 0
      ? { name: 'smb', state: 'fail', text: smb.join('; ') }
      : { name: 'smb', state: 'ok', text: `${seen.sysvol?.files} files of sysvol seen over SMB` },
  ];
}

/** Where a restored copy lies, and what its DC is called. */
export interface Copy {
  to: string;
  name: string;
}

async function rehearse(ctx: Context, tools: Tools, { manifest, dir, enter }: ProofRequest, { to, name }: Copy): Promise<Trial[]> {
  const { realm = '', netbios = '' } = manifest.identity;
  const machine = `${netbios}\\${name}$`;
  const around = await surround(ctx, { to, realm, machine }, join(dir, 'run'), ctx.config.bin);
  const { conf, env } = around;
  const apart = startApart(ctx, around);
  try {
    const said = async (script: string, words: readonly string[], timeoutMs: number): Promise<string> => {
      const args = ['-c', script, '-s', conf, '--server', '127.0.0.1', '-P', ...words];
      return (await tools.site.text(apart.beside({ file: tools.python, args, env }), { timeoutMs })).stdout;
    };
    const seen = await firstAnswer(ctx, apart, async () => parseLook(await said(QUESTION, ['--ticket'], 30_000)));
    enter?.('prove');
    const { checks } = ctx.config;
    const tried = await said(EXERCISE, exerciseArgs(checks, `bkp proof ${manifest.id}`), millis(ctx, 'ask'));
    return [...judgedAnswer(seen, manifest), ...judgeExercise(checks, tried)];
  } finally {
    await apart.stop();
  }
}

/**
 * Starts samba on a restored copy in a network namespace of its own, where its fixed ports are free and nobody meets it, and wants a
 * Kerberos ticket, an LDAP search and a listing of sysvol. It is gone when this answers.
 * @returns what is unproven where this host cannot start it apart
 */
export async function drill(ctx: Context, tools: Tools, request: ProofRequest, copy: Copy): Promise<Trial[]> {
  const why = await cannotStart(ctx, copy.to);
  if (why !== undefined) {
    const text = `samba was not started on the copy, so no ticket, no LDAP search and no write was tried: ${why}`;
    return [{ name: 'samba', state: 'unproven', text, mend: 'run it as root on a host with unshare, nsenter and ip' }];
  }
  ctx.report.emit({ type: 'started', what: 'samba on the copy' });
  const began = ctx.clock.now().getTime();
  try {
    request.enter?.('start');
    const trials = await rehearse(ctx, tools, request, copy);
    const seconds = Math.round((ctx.clock.now().getTime() - began) / 100) / 10;
    return [{ name: 'samba', state: 'ok', text: 'samba came up on the copy, apart from every network', seconds }, ...trials];
  } catch (error) {
    ctx.signal.throwIfAborted();
    const text = sentence(error);
    return [{ name: 'samba', state: isOfHost(text) ? 'unproven' : 'fail', text }];
  }
}
