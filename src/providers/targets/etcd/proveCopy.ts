import { sentence } from '../../../core/errors.ts';
import type { Contents } from './pieces.ts';
import type { Client } from './proveClient.ts';
import type { Found } from './proveTrial.ts';
import { FULL } from './status.ts';
import type { Offline } from './tools.ts';
import { BUMP } from './trial.ts';

/** Where revisions were raised before, etcdutl 3.6 counts the empty entry that did it as a key (tried on 3.6.16). */
const RAISED_MARK = 1;

export async function baseline(client: Client, { manifest }: Contents, tool: Offline): Promise<Found> {
  const recorded = manifest.baseline as { revision?: number; keys?: number };
  const found = await client.counts();
  const least = (recorded.revision ?? 0) + (tool.bumps ? BUMP : 0);
  if (found.revision < least)
    return { state: 'fail', text: `the copy is at revision ${found.revision}, and ${recorded.revision} was recorded at backup time` };
  if (recorded.keys !== undefined && found.keys !== recorded.keys && found.keys !== recorded.keys - RAISED_MARK)
    return { state: 'fail', text: `the copy has ${found.keys} keys, and ${recorded.keys} were recorded at backup time` };
  return {
    state: 'ok',
    text: `${found.keys} keys at revision ${recorded.revision}${recorded.keys === undefined ? '; keys were not counted at backup time' : ''}`,
  };
}

/** What a full cluster wrote into its own data. It is lifted in the copy, so that a write can be tried. */
export async function alarms(client: Client): Promise<Found> {
  const raised = [...(await client.text('alarm', 'list')).matchAll(/alarm:(\w+)/g)].map(([, name]) => name!);
  if (raised.length === 0) return { state: 'ok', text: 'none is raised' };
  const other = raised.find(name => name !== FULL);
  if (other) return { state: 'fail', text: `the copy carries alarm ${other}` };
  await client.text('alarm', 'disarm');
  return { state: 'note', text: `the copy carries alarm ${FULL}: a restored cluster takes no writes until \`etcdctl alarm disarm\`` };
}

export async function write(client: Client, id: string): Promise<Found> {
  const key = `bkp-proof-${id}`;
  await client.text('put', key, id);
  const read = (await client.text('get', key, '--print-value-only')).trim();
  await client.text('del', key);
  return read === id
    ? { state: 'ok', text: 'a key was written, read and deleted' }
    : { state: 'fail', text: `${id} was written, and "${read}" came back` };
}

/** What watched the lost cluster must be told that its place in history is gone. */
export async function compaction(client: Client, { manifest }: Contents, tool: Offline): Promise<Found> {
  if (!tool.bumps)
    return {
      state: 'note',
      text: `etcd ${tool.version.join('.')} cannot mark revisions compacted: restart what watches it after a restore`,
    };
  const revision = String(manifest.baseline['revision']);
  try {
    await client.text('get', '', '--prefix', '--limit=1', '--keys-only', `--rev=${revision}`);
  } catch (error) {
    if (/compacted/.test(sentence(error))) return { state: 'ok', text: `revision ${revision} and older are marked compacted` };
    throw error;
  }
  return { state: 'fail', text: `revision ${revision} can still be read: watchers of the lost cluster would go on from it` };
}
