import type { Where } from '../../core/contracts.ts';
import { quoted } from '../../core/shell.ts';
import type { Door } from './far.ts';

type Ssh = Extract<Where, { ssh: unknown }>['ssh'];

/** Ends with 255 when the connection is what failed (ssh(1), EXIT STATUS); the tool's own code otherwise. */
const OWN_FAILURE = /^ssh ended with exit code 255(?:: (.*))?$/s;

/** Another host by ssh, which hands one text to a shell there: each word is quoted. Never asks, and refuses a host that it does not know. */
export function sshDoor({ host, user, port, identityFile, knownHosts }: Ssh): Door {
  const options = [
    ...['-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes', '-o', 'ConnectTimeout=15', '-o', 'ServerAliveInterval=15'],
    ...(knownHosts === undefined ? [] : ['-o', `UserKnownHostsFile=${knownHosts}`]),
    ...(identityFile === undefined ? [] : ['-i', identityFile, '-o', 'IdentitiesOnly=yes']),
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...(user === undefined ? [] : ['-l', user]),
  ];
  return {
    name: `host ${host}`,
    command: words => ({ file: 'ssh', args: [...options, '--', host, words.map(quoted).join(' ')] }),
    closed: ({ message }) => {
      const [found, why] = OWN_FAILURE.exec(message) ?? [];
      return found === undefined ? undefined : `host ${host} could not be reached by ssh${why ? `: ${why}` : ''}`;
    },
  };
}
