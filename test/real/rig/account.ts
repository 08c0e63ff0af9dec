import { execFileSync } from 'node:child_process';

export interface Account {
  uid: number;
  gid: number;
}

let found: Account | undefined;

const idOf = (flag: '-u' | '-g'): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));

/** Whom servers run as: user postgres when this is root (PostgreSQL refuses root), else nobody else (undefined). */
export function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  found ??= { uid: idOf('-u'), gid: idOf('-g') };
  return found;
}
