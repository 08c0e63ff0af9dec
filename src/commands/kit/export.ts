import { randomBytes } from 'node:crypto';
import type { ExitName } from '../../core/errors.ts';
import type { Gathered } from '../../ops/kit/gather.ts';
import type { KitSource } from '../../ops/kit/source.ts';
import type { Session } from '../session.ts';
import { type LockFlags, lockOf } from './key.ts';
import { sourceOf } from './platform.ts';

export interface ExportFlags extends LockFlags {
  out: string;
  holder?: string;
  cluster: boolean;
}

function warnShared({ meta }: Gathered, session: Session): void {
  const shared = Object.entries(meta.storeKeys).filter(([, keys]) => keys === 'shared');
  for (const [store] of shared)
    session.report.emit({
      type: 'warning',
      text: `STORE ${store}: the kit holds the keys with which this platform writes and deletes. Make a key that can only read, and name it in \`kit: { stores: { ${store}: { accessKey, secretKey } } }\``,
    });
}

/** Names of the stores that have it on record, and of those that did not take it. */
async function recorded(session: Session, source: KitSource, { meta }: Gathered, lock: Awaited<ReturnType<typeof lockOf>>) {
  const [{ coversOf }, { recordExport }] = await Promise.all([import('../../ops/kit/covers.ts'), import('../../ops/kit/record.ts')]);
  const stack = session.app.stack(meta.env);
  const recording = { stack, tool: meta.tool, random: randomBytes(3) };
  const problems = await recordExport(recording, meta, lock, coversOf(source, stack.keys.recipients));
  const lacking = (problems ?? []).map(({ store }) => store);
  const recordedIn = problems ? stack.stores.map(({ name }) => name).filter(name => !lacking.includes(name)) : [];
  return { recordedIn, lacking };
}

/** `bkp kit export`. */
export async function makeKit(session: Session, flags: ExportFlags): Promise<ExitName> {
  const { gather } = await import('../../ops/kit/gather.ts');
  const { checkLock, exportKit } = await import('../../ops/kit/export.ts');
  const source = await sourceOf(session.app, session.options.env, session);
  const env = session.app.env(session.options.env);
  const lock = await lockOf(flags, session, source.secrets);
  const kit = await gather(source, { cluster: flags.cluster, random: randomBytes(3), tool: `bkp ${session.version}` });
  checkLock(lock, kit.meta);
  warnShared(kit, session);
  const { maxAge } = env.kit;
  const { file, sheet, sha256, lines } = await exportKit(kit, lock, { out: flags.out, holder: flags.holder, maxAge });
  const names = [...kit.files.keys()];
  const { id, storeKeys, leftOut } = kit.meta;
  const { recordedIn, lacking } = await recorded(session, source, kit, lock);
  session.result({ kit: id, env: env.name, file, sheet, sha256, files: names, storeKeys, leftOut, recordedIn }, [
    `kit ${id} of ${env.name}: ${file}`,
    `in it: ${names.join(', ')}`,
    ...(kit.meta.cluster ? [] : ['the cluster was not asked: keys of sealed-secrets are not in it']),
    `for paper, ${lines} numbered lines: ${sheet}`,
    `SHA-256 ${sha256}`,
    ...(recordedIn.length > 0 ? [`on record in ${recordedIn.join(', ')}`] : []),
    ...(lacking.length > 0 ? [`the kit is whole; NOT on record in ${lacking.join(', ')}`] : []),
    `  → bkp kit check ${flags.out} --deep`,
  ]);
  return leftOut.length + lacking.length > 0 ? 'partial' : 'done';
}
