/** Quotes one word for a POSIX shell, whatever it holds; NUL cannot be in one. */
export const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** A word as a person would type it, for a command that is printed to be pasted: quoted only where it has to be. */
export const pasted = (word: string): string => (/^[\w./:@=,+-]+$/.test(word) ? word : quoted(word));

/**
 * Quotes one word for the POSIX shell to which PostgreSQL hands archive_command and restore_command.
 * @param word any text without NUL; PostgreSQL's own `%f`, `%p` must be given through `placeholder`, all other `%` are doubled
 * @returns the word in single quotes, safe whatever it holds
 */
export const shellWord = (word: string): string => quoted(word.replaceAll('%', '%%'));

/** PostgreSQL's placeholder for the file name (`f`) or path (`p`), quoted for names with spaces. */
export const placeholder = (letter: 'f' | 'p'): string => `"%${letter}"`;

/** A command line from words; `%f` and `%p` as whole words are placeholders, everything else is literal. */
export const shellCommand = (words: readonly string[]): string =>
  words.map(word => (word === '%f' ? placeholder('f') : word === '%p' ? placeholder('p') : shellWord(word))).join(' ');

/** Quotes a value for postgresql.conf: single quotes and backslashes doubled. */
export const confValue = (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
