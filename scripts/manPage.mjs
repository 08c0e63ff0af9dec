// One man page (roff, the macros of man(7)) out of the program's commands.

/** A text that roff prints as it stands: no line begins with a control character, a hyphen is a hyphen. */
const escaped = text =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');

const synopsis = (name, command) => ['.TP', `.B ${escaped(name)} ${escaped(command.usage())}`, escaped(command.description())];

const options = command =>
  command.options
    .filter(({ hidden }) => !hidden)
    .flatMap(({ flags, description }) => ['.TP', `.B ${escaped(flags)}`, escaped(description)]);

const nameOf = command => (command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name());

/** Commands that do something, with those above them, in the order of the help. */
const leaves = command =>
  command.commands.length > 0 ? command.commands.filter(each => each.name() !== 'help').flatMap(leaves) : [command];

const section = command => [`.SS ${escaped(`"${nameOf(command)}"`)}`, escaped(command.description()), ...options(command)];

/**
 * The page `bkp(1)`.
 * @param program the whole command tree
 * @param exits what the help says about exit codes
 */
export function manPage(program, exits) {
  const commands = leaves(program).filter(command => command.name() !== 'complete');
  const lines = [
    '.TH BKP 1 "" "bkp" "User Commands"',
    '.SH NAME',
    `bkp \\- ${escaped(program.description())}`,
    '.SH SYNOPSIS',
    '.B bkp',
    '[options] command [arguments]',
    '.SH COMMANDS',
    ...commands.flatMap(command => synopsis(nameOf(command), command)),
    '.SH OPTIONS',
    'Options of bkp itself may stand before or after the command.',
    ...options(program),
    '.SH OPTIONS OF COMMANDS',
    ...commands.filter(command => command.options.length > 0).flatMap(section),
    '.SH EXIT STATUS',
    escaped(
      exits
        .trim()
        .replace(/^Exit codes: /, '')
        .replaceAll('\n', ' '),
    ),
    '.SH FILES',
    '.TP',
    '.B ./bkp.yaml, $XDG_CONFIG_HOME/bkp/bkp.yaml, /etc/bkp/bkp.yaml',
    'The config; the first that is there is taken, unless \\-\\-config or BKP_CONFIG names one.',
    '.SH SEE ALSO',
    '.BR age (1),',
    '.BR pg_basebackup (1),',
    '.BR zstd (1)',
  ];
  return `${lines.join('\n')}\n`;
}
