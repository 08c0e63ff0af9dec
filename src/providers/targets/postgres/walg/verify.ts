import type { Finding, Manifest, StoreLook } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { parseLsn } from '../../../../core/postgres/lsn.ts';
import { walObjects, walStores } from '../archive.ts';
import { liveState } from '../live.ts';
import { segmentsOf } from './archived.ts';
import { listed, type Shown } from './backups.ts';
import { exactJson } from './json.ts';
import { prefixOf } from './layout.ts';
import { type Context, environmentFor, runWalg, words } from './program.ts';

const isOurs = ({ engine, lineage, wal }: Manifest): boolean => engine === 'wal-g' && lineage !== undefined && wal !== undefined;

/** Lineages of WAL-G of which a store has a backup, each with its manifests. */
function lineagesOf(look: StoreLook): Map<string, Manifest[]> {
  const found = new Map<string, Manifest[]>();
  for (const { manifest } of look.known.filter(each => isOurs(each.manifest)))
    found.set(manifest.lineage!, [...(found.get(manifest.lineage!) ?? []), manifest]);
  return found;
}

/** A backup of WAL-G has no WAL inside: without any segment of its own time it is no backup. */
function* withoutWal(look: StoreLook, manifests: readonly Manifest[], names: ReadonlySet<string>): Generator<Finding> {
  for (const { id, wal } of manifests) {
    const { timeline, from, to, segmentBytes } = wal!;
    const absent = segmentsOf({ timeline, from: parseLsn(from), to: parseLsn(to) }, segmentBytes).filter(name => !names.has(name));
    if (absent.length === 0) continue;
    const text = `WAL ${absent[0]}${absent.length > 1 ? ` and ${absent.length - 1} more` : ''} is missing, of the time in which backup ${id} was taken`;
    yield { store: look.store.name, state: 'missing', text, breaks: [`backup ${id}`] };
  }
}

/** What a delta builds on has to be in the same store: WAL-G reads from one only. */
function* withoutParent(look: StoreLook, manifests: readonly Manifest[], backups: ReadonlyMap<string, Shown>): Generator<Finding> {
  const ids = new Set(look.known.map(({ manifest }) => manifest.id));
  for (const { id, needs } of manifests)
    for (const need of needs) {
      const lost = 'backup' in need ? !ids.has(need.backup) : 'held' in need && !backups.get(need.held.id)?.sentinel;
      if (!lost) continue;
      const parent = 'backup' in need ? need.backup : 'held' in need ? need.held.id : '';
      yield {
        store: look.store.name,
        state: 'missing',
        text: `backup ${parent}, on which delta ${id} builds, is not there`,
        breaks: [`backup ${id}`],
      };
    }
}

/** What lies in WAL-G's folder and belongs to no backup of ours. */
function* besides(store: string, { backups, strays }: Awaited<ReturnType<typeof listed>>, signed: ReadonlySet<string>): Generator<Finding> {
  for (const { key, bytes } of strays)
    yield { store, state: 'stray', key, text: `${key} (${bytes} bytes) is no object of WAL-G: it is ignored` };
  for (const { name, sentinel, objects } of backups.values()) {
    if (signed.has(name)) continue;
    if (sentinel)
      yield {
        store,
        state: 'note',
        text: `backup ${name} of WAL-G is not signed: bkp does not restore, count or remove it; bkp backup postgres NAME --adopt signs it`,
      };
    else
      yield {
        store,
        state: 'stray',
        text: `${objects.length} object(s) of ${name} without a sentinel: of a run of WAL-G that did not end, or that goes on`,
      };
  }
}

interface Checked {
  status?: string;
  details?: unknown;
}

interface Range {
  start_segment: string;
  end_segment: string;
  status: string;
}

/** Ranges that WAL-G calls lost and that are not there in our own listing either count as told; what it says beyond that is passed on. */
function* fromJson(store: string, text: string, names: ReadonlySet<string>): Generator<Finding> {
  const checks = exactJson(text, `the answer of wal-verify for store ${store}`) as Record<string, Checked>;
  for (const [check, { status, details }] of Object.entries(checks)) {
    if (status === 'OK') continue;
    const ranges = Array.isArray(details) ? (details as Range[]).filter(range => range.status !== 'FOUND') : [];
    const where = ranges.map(range => `${range.start_segment} to ${range.end_segment} ${range.status}`).join(', ');
    const contradicted = status === 'FAILURE' && ranges.every(range => names.has(range.start_segment));
    const said = `wal-g wal-verify says ${status} of ${check}: ${where || JSON.stringify(details ?? null)}`;
    yield contradicted
      ? { store, state: 'unproven', text: `${said}, and nothing of that is missing in the listing` }
      : { store, state: 'note', text: said };
  }
}

/** What `wal-g wal-verify` answers; its exit code is 0 whatever it finds (tried on 3.0.9). It has to ask the server where it is. */
async function* byWalg(ctx: Context, look: StoreLook, lineage: string, names: ReadonlySet<string>): AsyncGenerator<Finding> {
  const store = look.store.name;
  try {
    const live = await liveState(ctx);
    if (live.systemIdentifier !== lineage.split('-')[0]) return;
    const env = await environmentFor(ctx, look.store, prefixOf(ctx, lineage), { server: true, segmentBytes: live.segmentBytes });
    const { code, lines } = await runWalg(ctx, ['wal-verify', 'integrity', 'timeline', '--json'], { ...env, WALG_UPLOAD_CONCURRENCY: '1' });
    const text = lines.find(line => line.startsWith('{'));
    if (text === undefined) throw new BkpError('failed', `wal-g wal-verify ended with exit code ${code} and no answer: ${words(lines)}`);
    yield* fromJson(store, text, names);
  } catch (error) {
    ctx.signal.throwIfAborted();
    yield { store, state: 'note', text: `wal-g wal-verify was not asked for lineage ${lineage}: ${sentence(error).split('\n')[0]}` };
  }
}

/** What engine wal-g keeps in one store, beyond holes in the WAL: each base's own WAL, parents of deltas, strays, and WAL-G's own word. */
export async function* verifyWalg(ctx: Context, look: StoreLook): AsyncGenerator<Finding> {
  for (const [lineage, manifests] of lineagesOf(look)) {
    const prefix = prefixOf(ctx, lineage);
    const listing = await listed(look.store, prefix);
    const signed = new Set(manifests.flatMap(({ pieces }) => pieces.flatMap(piece => ('held' in piece ? [piece.held.id] : []))));
    yield* withoutParent(look, manifests, listing.backups);
    yield* besides(look.store.name, listing, signed);
    if (!walStores(ctx).includes(look.store)) continue;
    const names = new Set<string>();
    for await (const { name } of walObjects(look.store, ctx.base, lineage, '', prefix)) names.add(name);
    yield* withoutWal(look, manifests, names);
    yield* byWalg(ctx, look, lineage, names);
  }
}
