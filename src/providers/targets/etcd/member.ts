import { isIP } from 'node:net';
import { BkpError } from '../../../core/errors.ts';
import type { Member } from './trial.ts';

const isPeer = (text: string): boolean => /^(?:https?|unixs?):\/\/(?:\[[^\]]+\]|[^/:]+):\d+$/.test(text);

/** Whether no name has to be resolved: etcd compares what names lead to. */
const isPlain = (url: string): boolean => isIP(new URL(url).hostname.replace(/^\[|\]$/g, '')) !== 0;

/**
 * What `snapshot restore` would only find out when the place is made, and what was there is moved aside.
 * @throws BkpError('usage')
 */
export function refuseMember({ name = 'default', initialCluster, initialAdvertisePeerUrls }: Member): void {
  const bad = (what: string): BkpError =>
    new BkpError('usage', what, {
      next: '--initial-cluster NAME=PEER-URL,… holds --name and its --initial-advertise-peer-urls, such as https://10.0.0.1:2380',
    });
  const peers = (initialAdvertisePeerUrls ?? 'http://localhost:2380').split(',');
  for (const url of peers) if (!isPeer(url)) throw bad(`--initial-advertise-peer-urls: "${url}" is no peer URL with scheme and port`);
  if (initialCluster === undefined) return;
  const own: string[] = [];
  const owners = new Map<string, string>();
  for (const each of initialCluster.split(',')) {
    const [member = '', url = ''] = each.split(/=(.*)/s);
    if (!member || !isPeer(url)) throw bad(`--initial-cluster: "${each}" is no NAME=PEER-URL with scheme and port`);
    if (owners.has(url)) throw bad(`--initial-cluster: ${url} is that of ${owners.get(url)} and of ${member}`);
    owners.set(url, member);
    if (member === name) own.push(url);
  }
  if (own.length === 0) throw bad(`--initial-cluster has no member ${name}, which is the name of this one`);
  if ([...own, ...peers].every(isPlain) && [...own].sort().join() !== [...peers].sort().join())
    throw bad(`--initial-cluster has ${name} at ${own.join(',')}, and --initial-advertise-peer-urls says ${peers.join(',')}`);
}
