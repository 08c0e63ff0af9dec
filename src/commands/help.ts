import { Command } from 'commander';
import { meant } from '../core/near.ts';

const usage = (command: Command, text: string): never => command.error(`error: ${text}`, { code: 'commander.unknownCommand' });

/** The command that the names lead to, below `command`. */
function found(command: Command, [name, ...rest]: readonly string[]): Command {
  if (name === undefined) return command;
  const below = command.commands.map(each => each.name());
  const next = command.commands.find(each => each.name() === name);
  return next ? found(next, rest) : usage(command, `there is no command "${name}"${meant(name, below)}`);
}

/**
 * Gives a command that has others `help [command…]`, in place of commander's own, which answers a name that nobody knows by the help of
 * all commands.
 * @param shown called once a help is printed
 */
export function addHelp(command: Command, shown: () => void): void {
  const help = new Command('help').description('display help for command').argument('[command...]');
  help.action((names: string[]) => {
    found(command, names).outputHelp();
    shown();
  });
  command.helpCommand(false).addCommand(help);
  refuseUnknown(command);
}

/** `bkp restor --help`: commander would answer by the help of all commands, as if nothing were wrong. */
function refuseUnknown(command: Command): void {
  command.addHelpText('before', () => {
    const [name] = command.args;
    if (name !== undefined && !name.startsWith('-')) found(command, [name]);
    return '';
  });
}
