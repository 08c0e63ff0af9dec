import { resolve } from 'node:path';
import type { FullDr, TargetEntry } from '../../core/config/index.ts';
import type { Target, TargetContext } from '../../core/contracts.ts';
import { BkpError } from '../../core/errors.ts';
import type { Member } from '../../core/waves.ts';

/** One target of the stack, opened; or why it could not be, such as a secret that is not here. */
export interface Part extends Member {
  fullDr: FullDr;
  opened: { target: Target; ctx: TargetContext; entry: TargetEntry } | { error: BkpError };
}

/** What says which entry of an environment is meant. */
export type Named = Pick<Part, 'kind' | 'name'>;

export const isSame = (of: Named, other: Named): boolean => of.kind === other.kind && of.name === other.name;

/** What a part is called. */
export const partName = ({ kind, name }: Named): string => `${kind}/${name}`;

/**
 * Where a part goes: below `root`, else where its entry says.
 * @returns an absolute path, or the address of a running server in words
 * @throws BkpError('usage') when nothing says where
 */
export function placeOf(
  part: Part,
  opened: { target: Target; ctx: TargetContext },
  root: string | undefined,
): { to: string; online: boolean } {
  const { fullDr } = part;
  if (root !== undefined) return { to: resolve(root, part.kind, part.name), online: false };
  if (fullDr.online) {
    if (opened.target.online) return { to: opened.target.online(opened.ctx), online: true };
    throw new BkpError('usage', `${part.kind} cannot be restored into a running server`, {
      next: `take \`fullDr.online\` out of ${partName(part)}`,
    });
  }
  const to = fullDr.to ?? (opened.ctx.config as { dataDir?: string }).dataDir;
  if (to !== undefined) return { to: resolve(to), online: false };
  throw new BkpError('usage', `nothing says where ${partName(part)} goes`, {
    next: [
      `\`fullDr: { to: DIR }\` or \`dataDir:\` in the entry`,
      '--to DIR takes everything below one directory',
      `--skip ${partName(part)}`,
    ],
  });
}
