import { withoutPasswords } from './errors.ts';

/** What a backup that ended with 0 said all the same. */
export interface Said {
  /** Something of the domain is not in it, or not as it was. */
  lacks: string[];
  warnings: string[];
}

const LINE = /^(ERROR|WARNING)\b(?: \d{4}-\d\d-\d\d [\d:,]+ pid:\d+ \S+ #\d+:|:)?\s*(.*)$/;
const DENIED = /ntacl|permissions for|access.denied|NT_STATUS_ACCESS_DENIED|privilege is not held|sysvol/i;

/** Reads the lines of samba-tool that are no progress (4.17); each kind once, with how often. */
export function readSaid(output: string): Said {
  const lines = withoutPasswords(output)
    .split('\n')
    .map(line => LINE.exec(line.trim())?.[2])
    .filter(text => text !== undefined && text !== '' && !/^no network interfaces found/.test(text)) as string[];
  const denied = lines.filter(line => DENIED.test(line) && !/may not be restored correctly/.test(line));
  const others = [...new Set(lines.filter(line => !DENIED.test(line)))];
  return {
    lacks: denied.length > 0 ? [`${denied.length} thing(s) of sysvol could not be read, the first: ${denied[0]}`] : [],
    warnings: others.slice(0, 5).concat(others.length > 5 ? [`and ${others.length - 5} more warnings of samba-tool`] : []),
  };
}
