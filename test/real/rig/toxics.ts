import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { binDir } from './places.ts';
import { daemon, endpointAt, killAll, stoppable, untilAnswers } from './s3.ts';
import { freePort } from './wait.ts';

/** What toxiproxy does to connections, by its own words; `downstream` (answers) and to all of them, unless set. */
export interface Toxic {
  type: 'latency' | 'bandwidth' | 'slow_close' | 'timeout' | 'reset_peer' | 'slicer' | 'limit_data';
  stream?: 'upstream' | 'downstream';
  /** Share of the connections. */
  toxicity?: number;
  /** Of that type: milliseconds, bytes, or KB/s. */
  attributes: Readonly<Record<string, number>>;
}

/** A line of TCP to a server, which can be bad in any way that a network can. */
export interface Toxics {
  readonly endpoint: string;
  add(toxic: Toxic): Promise<void>;
  /** Takes every toxic away. */
  clear(): Promise<void>;
  /** Whether anybody listens. */
  up(on: boolean): Promise<void>;
  stop(): Promise<void>;
}

/** The program as scripts/setup.py builds it. @throws naming the set-up command when it is not there */
function program(): string {
  const file = resolve(binDir('18'), '../../../../toxiproxy/toxiproxy');
  if (existsSync(file)) return file;
  throw new Error(`toxiproxy is not at ${file}: run \`npm run setup\``);
}

async function ask(url: string, method: string, body?: object): Promise<unknown> {
  const answer = await fetch(url, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`toxiproxy says ${answer.status} to ${method} ${url}: ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

/**
 * Starts a toxiproxy of its own before a server on loopback, as good as the server itself until a toxic is added.
 * @param behind `http://127.0.0.1:PORT`
 */
export async function startToxics(behind: string): Promise<Toxics> {
  const [control, port] = [await freePort(), await freePort()];
  const server = daemon(program(), ['-host', '127.0.0.1', '-port', String(control)], { LOG_LEVEL: 'error' });
  const stop = stoppable(() => killAll([server]));
  await untilAnswers(`${endpointAt(control)}/version`, [server]);
  const line = `${endpointAt(control)}/proxies/line`;
  const at = { listen: `127.0.0.1:${port}`, upstream: new URL(behind).host };
  await ask(`${endpointAt(control)}/proxies`, 'POST', { name: 'line', ...at, enabled: true });
  return {
    endpoint: endpointAt(port),
    add: async toxic => void (await ask(`${line}/toxics`, 'POST', { stream: 'downstream', toxicity: 1, ...toxic })),
    async clear() {
      const { toxics } = (await ask(line, 'GET')) as { toxics: { name: string }[] };
      for (const { name } of toxics) await ask(`${line}/toxics/${name}`, 'DELETE');
    },
    up: async enabled => void (await ask(line, 'POST', { ...at, enabled })),
    stop,
  };
}
