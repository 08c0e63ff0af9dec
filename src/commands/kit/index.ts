import { Command } from 'commander';
import type { BareRun, Run } from '../session.ts';
import { type CheckFlags, checkKit } from './check.ts';
import { type ExportFlags, makeKit } from './export.ts';
import type { KeyFlags } from './key.ts';
import { unpackTo } from './open.ts';

const gathered = (text: string, before: string[] = []): string[] => [...before, text];

const keyed = (command: Command): Command =>
  command
    .option('--passphrase-from <reference>', "where the passphrase is: '${NAME}' or '${file:/path}'; else it is asked for")
    .option('--identity <file>', 'file of the age identity for which the kit was sealed');

/** `bkp kit export | open | check`. */
export function kitCommand(run: Run, bare: BareRun): Command {
  const command = new Command('kit').description('all that a clean machine needs to restore, in one sealed file; and whether it would do');
  command
    .command('export')
    .description('make a kit, and a sheet of it for paper')
    .requiredOption('--out <file>', 'the sealed file; the sheet is FILE.txt')
    .option('--passphrase', 'seal it with a passphrase, asked for twice')
    .option('--passphrase-from <reference>', "the passphrase from '${NAME}' or '${file:/path}'")
    .option('--recipient <age1…>', 'seal it for this recipient, whose identity is kept elsewhere; may be given several times', gathered)
    .option('--holder <text>', 'who keeps passphrase or identity, for the sheet')
    .option('--no-cluster', 'leave the cluster of the environment alone')
    .action((flags: ExportFlags) => run(session => makeKit(session, flags)));
  keyed(command.command('open'))
    .description('unpack a kit, or a scan of its sheet; needs no config')
    .argument('<file>', 'the sealed file, or the sheet as text')
    .requiredOption('--to <dir>', 'directory that is empty or not there yet')
    .action((file: string, flags: KeyFlags & { to: string }) => bare(session => unpackTo(session, file, flags)));
  keyed(command.command('check'))
    .description('open the newest backups of every store with nothing but the kit, and tell what has changed since')
    .argument('<file>', 'the sealed file, or the sheet as text')
    .option('--store <name>', 'this store only')
    .option('--deep', 'restore and try them')
    .action((file: string, flags: CheckFlags) => bare(session => checkKit(session, file, flags)));
  return command;
}
