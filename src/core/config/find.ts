import { BkpError } from '../errors.ts';
import { pasted } from '../shell.ts';
import { xdgHome } from '../xdg.ts';

/** Where a config is looked for. */
export interface Lookup {
  /** --config */
  flag?: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  exists(path: string): boolean;
}

function places(env: Lookup['env']): string[] {
  const home = xdgHome(env, 'XDG_CONFIG_HOME');
  return ['./bkp.yaml', ...(home ? [`${home}/bkp/bkp.yaml`] : []), '/etc/bkp/bkp.yaml'];
}

/**
 * Path of the config: --config, then BKP_CONFIG, then the usual places. A place that was named is the only one looked at.
 * @throws BkpError('usage') listing where it looked
 */
export function findConfig({ flag, env, exists }: Lookup): string {
  const [by, named] = flag === undefined ? ['BKP_CONFIG', env['BKP_CONFIG'] || undefined] : ['--config', flag];
  if (named !== undefined) {
    if (exists(named)) return named;
    throw new BkpError('usage', `there is no config at ${named}, which ${by} names`, {
      next: `Mend that path${flag === undefined ? ', or unset BKP_CONFIG' : ''}; \`bkp init --out ${pasted(named)}\` writes a config there`,
    });
  }
  const looked = places(env);
  const found = looked.find(exists);
  if (found !== undefined) return found;
  throw new BkpError('usage', `there is no config; looked at ${looked.join(', ')}`, {
    next: 'Name one with --config or BKP_CONFIG; `bkp init` writes one over what is found on this host',
  });
}
