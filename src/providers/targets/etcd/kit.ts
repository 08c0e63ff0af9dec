import type { KitHelp, Manifest } from '../../../core/contracts.ts';
import { BkpError } from '../../../core/errors.ts';
import { readAll } from '../../../flow/bytes.ts';
import { openSite } from '../../../flow/site/index.ts';
import type { Context, EtcdConfig } from './config.ts';
import { isK3s } from './flavor.ts';
import { fingerprint, readToken } from './k3s/token.ts';
import { pieceOf } from './pieces.ts';

const wasK3s = ({ config }: Context, newest: Manifest | undefined): boolean =>
  newest === undefined ? config.flavor === 'k3s' : newest.baseline['flavor'] === 'k3s';

/** The token where K3s runs; undefined for what is no K3s, and where nobody can look. */
async function tokenThere(ctx: Context): Promise<Buffer | undefined> {
  const site = await openSite(ctx, ctx.config.where);
  try {
    return (await isK3s(ctx, site)) ? await readToken(ctx, site) : undefined;
  } finally {
    await site.close();
  }
}

/** A snapshot of K3s is of no use on a new node without the server token that it was taken under. */
export const kit: KitHelp<EtcdConfig> = {
  tools(ctx, newest) {
    const version = newest?.versions['server'];
    const said = version ? { version } : {};
    return [
      { program: 'etcdutl', from: "etcd-client, or etcd's own release" },
      wasK3s(ctx, newest)
        ? { program: 'k3s', from: "K3s's own installer, of this version", ...said }
        : { program: 'etcd', from: "etcd-server, or etcd's own release", ...said },
    ];
  },
  steps: (ctx, newest) =>
    wasK3s(ctx, newest)
      ? [
          `Install the same K3s without starting it (INSTALL_K3S_SKIP_START=true), then add \`--online\` in place of \`--to DIR\`: the cluster comes back asleep.`,
          `The server token is in \`tokens/etcd/${ctx.name}/token\` too, for servers and agents that join (\`K3S_TOKEN_FILE\`).`,
        ]
      : [],
  // A backup of K3s does not know that uid: it is of the cluster of its entry.
  holdsCluster: ({ identity, baseline }, kubeSystem) =>
    identity['kubeSystem'] === undefined ? baseline['flavor'] === 'k3s' : identity['kubeSystem'] === kubeSystem,
  async *secrets(ctx, newest, read) {
    const piece = newest && pieceOf(newest, 'token');
    if (newest && wasK3s(ctx, newest) && !piece)
      throw new BkpError('verifyFailed', `backup ${newest.id} of etcd/${ctx.name} has no server token`, {
        next: `bkp backup etcd ${ctx.name}`,
      });
    const token = piece ? await readAll(read(piece)) : newest ? undefined : await tokenThere(ctx);
    if (token) yield { name: 'token', bytes: token, fingerprint: fingerprint(token) };
  },
};
