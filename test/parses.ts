import type { Command } from 'commander';
import { build } from '../src/main.ts';

/** What is wrong with a command line by the program's own commands and options; undefined when it parses. */
export function fault(args: readonly string[]): string | undefined {
  const program = build();
  let command: Command = program;
  let rest = [...args];
  for (;;) {
    const { operands, unknown } = command.parseOptions(rest);
    if (command.commands.length === 0) return ofLeaf(command, operands, unknown);
    if (operands.length === 0) return unknown.every(each => each === '--help') ? undefined : `no option ${unknown[0]}`;
    const next = command.commands.find(each => each.name() === operands[0]);
    if (!next) return operands[0] === 'help' ? undefined : `no command "${operands[0]}" in ${command.name()}`;
    command = next;
    rest = [...operands.slice(1), ...unknown];
  }
}

function ofLeaf(command: Command, operands: readonly string[], unknown: readonly string[]): string | undefined {
  const option = unknown.find(each => each.startsWith('-') && each !== '--help');
  if (option) return `${command.name()} has no option ${option}`;
  const wanted = command.registeredArguments;
  if (unknown.includes('--help')) return undefined;
  if (operands.length > wanted.length) return `${command.name()} takes ${wanted.length} arguments, not ${operands.length}`;
  if (operands.length < wanted.filter(each => each.required).length) return `${command.name()} lacks an argument`;
  return command.options.find(each => each.mandatory && command.getOptionValue(each.attributeName()) === undefined)?.flags;
}
