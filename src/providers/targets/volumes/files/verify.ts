import type { Finding, StoreLook } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { partsOf } from './baseline.ts';
import { type Context, prefixOf } from './context.ts';
import { reachFor, runRestic, words } from './program.ts';
import { hasRepository, locksIn, snapshotsIn } from './repository.ts';
import { few } from './take.ts';

const STALE_MS = 30 * 60_000;

/** Where restic cannot open the repository since its config or its key is damaged, no backup in it comes back. */
function failed({ store: { name: store }, known }: StoreLook, error: unknown): Finding {
  const exit = error instanceof BkpError ? error.exit : 'failed';
  const text = sentence(error);
  if (exit === 'verifyFailed') return { store, state: 'damaged', text, breaks: known.map(({ manifest }) => `backup ${manifest.id}`) };
  return { store, state: exit === 'storeUnreachable' ? 'unreachable' : 'unproven', text };
}

/** Backups of which the repository has not every snapshot. */
async function* absent(ctx: Context, { store, known }: StoreLook): AsyncGenerator<Finding> {
  const there = new Set((await snapshotsIn(ctx, store)).map(({ backup, paths }) => JSON.stringify([backup, ...[...paths].sort()])));
  for (const { manifest } of known)
    for (const { name, paths } of partsOf(manifest))
      if (!there.has(JSON.stringify([manifest.id, ...[...paths].sort()])))
        yield {
          store: store.name,
          state: 'missing',
          text: `restic's snapshot of ${name} (${paths.join(', ')}) is not in the repository`,
          breaks: [`backup ${manifest.id}`],
        };
}

async function* locks(ctx: Context, { store }: StoreLook): AsyncGenerator<Finding> {
  for (const { key, modified } of await locksIn(ctx, store))
    if (ctx.clock.now().getTime() - modified.getTime() > STALE_MS)
      yield { store: store.name, state: 'note', text: `${key}: a lock of a restic that died; the next backup takes it away` };
}

/** What restic 0.14 says of a pack that its indexes know and no listing shows. */
const GONE = /^pack [0-9a-f]{64}: does not exist/;

/**
 * What `restic check` says of the repository; `deep` has every byte read. Where a pack with a directory is gone, restic goes on asking for it
 * for a quarter of an hour, and says at the begin that it is not there.
 */
async function* checked(ctx: Context, { store, deep, known }: StoreLook): AsyncGenerator<Finding> {
  const what = deep(prefixOf(ctx)) ? ['check', '--read-data'] : ['check'];
  const gone: string[] = [];
  const onLine = (line: string): void => void (GONE.test(line) && gone.push(line));
  const damaged = (text: string): Finding => ({
    store: store.name,
    state: 'damaged',
    text: `restic ${what.join(' ')} ${text}`,
    breaks: known.map(({ manifest }) => `backup ${manifest.id}`),
  });
  try {
    const { code, signal, lines } = await runRestic(ctx, await reachFor(ctx, store), [...what, '--no-lock'], { onLine });
    if (code === 0) return;
    yield damaged(`${signal ? `was ended by signal ${signal}` : `ended with exit code ${code}`}: ${words(lines)}`);
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (gone.length === 0) throw error;
    yield damaged(`got no further: ${few(gone)}`);
  }
}

/** Whether the repository of a store has the snapshots that its manifests name, and is whole by restic's own word. */
export async function* verify(ctx: Context, look: StoreLook): AsyncIterable<Finding> {
  const ours = { ...look, known: look.known.filter(({ manifest }) => partsOf(manifest).length > 0) };
  if (ours.known.length === 0) return;
  try {
    if (!(await hasRepository(ctx, look.store))) {
      const breaks = ours.known.map(({ manifest }) => `backup ${manifest.id}`);
      yield { store: look.store.name, state: 'missing', text: `there is no repository of restic under ${prefixOf(ctx)}/`, breaks };
      return;
    }
    yield* absent(ctx, ours);
    yield* locks(ctx, ours);
    yield* checked(ctx, ours);
  } catch (error) {
    ctx.signal.throwIfAborted();
    yield failed(ours, error);
  }
}
