import type { Holding, Manifest, TargetContext } from '../../../core/contracts.ts';

/** The tablespaces of the newest backup: each is a place outside the data directory that belongs to it. */
export async function* coverage({ name }: TargetContext, newest: Manifest | undefined): AsyncIterable<Holding> {
  for (const space of newest?.tablespaces ?? [])
    yield {
      kind: 'tablespace',
      name: `${name}:${space.name}`,
      detail: space.location,
      coveredBy: { target: `postgres/${name}`, backup: newest!.id, at: newest!.recoveryPointAt },
    };
}
