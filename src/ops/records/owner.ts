import { hostname, userInfo } from 'node:os';

/** Who writes a record, for people to find the process: `<host name>/<process id>`. In a pod the host name is the pod's. */
export const ownerOf = (): string => `${hostname()}/${process.pid}`;

/** Who decides something, for people to ask: `<account>@<host name>`. An account without a name, as in a container, is its number. */
export function personOf(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    return `uid ${process.getuid?.()}@${hostname()}`;
  }
}
