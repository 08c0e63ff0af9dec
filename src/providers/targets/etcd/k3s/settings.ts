import { parse } from 'yaml';
import type { Site } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { readAll } from '../../../../flow/bytes.ts';
import { type Context, called } from '../config.ts';
import { samePassword } from './token.ts';

export type Settings = Readonly<Record<string, unknown>>;

/** K3s reads config.yaml, then the files of config.yaml.d in order; the last one wins (`key+` adds, which none of ours is). */
export async function settings(ctx: Context, site: Site): Promise<Settings> {
  const { configDir } = ctx.config.k3s;
  const dir = `${configDir}/config.yaml.d`;
  const more = (await site.names(dir)).filter(name => /\.ya?ml$/.test(name)).map(name => `${dir}/${name}`);
  const first = (await site.names(configDir)).includes('config.yaml') ? [`${configDir}/config.yaml`] : [];
  const all: Settings[] = [];
  for (const path of [...first, ...more]) all.push((parse((await readAll(site.read(path))).toString('utf8')) as Settings | null) ?? {});
  return Object.assign({}, ...all);
}

/**
 * What K3s would only say when it is stopped already and its datastore is gone: its files of settings go before our variable, and it resets
 * no server that is to join another one (`pkg/cli/server/server.go` of K3s).
 * @throws BkpError('refused')
 */
export async function refuseUnfit(ctx: Context, site: Site, token: Buffer): Promise<void> {
  const { configDir } = ctx.config.k3s;
  const refused = (what: string, ...next: string[]): BkpError =>
    new BkpError('refused', `${called(ctx)}: the configuration in ${configDir} on ${site.name} ${what}`, { next });
  const found = await settings(ctx, site).catch(error => {
    throw refused(`cannot be read: ${sentence(error).split('\n')[0]}`, 'K3s reads it too: mend it first');
  });
  if (found['server'])
    throw refused(
      `has \`server: ${found['server']}\`, and K3s resets no server that is to join another one`,
      'take `server:` out of it until the other servers have joined again',
      'or restore on the first server, which has none',
    );
  const file = found['token-file'];
  const own = found['token'] ?? (typeof file === 'string' ? (await readAll(site.read(file))).toString('utf8') : undefined);
  if (own !== undefined && !samePassword(Buffer.from(String(own)), token))
    throw refused(
      `has another token than the backup, and K3s takes that one, which opens nothing in the backup`,
      `put the token of the backup there: bkp restore etcd ${ctx.name} --to DIR writes it to DIR/token`,
      'or take it out: the restore brings its own along',
    );
}
