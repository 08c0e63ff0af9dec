import type { Site, TargetContext } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import type { Look } from './look.ts';

/** Copies that an offline backup makes beside the files of the DC, secrets among them; one that is ended leaves them (samba/netcmd/domain_backup.py). */
const COPIES = '*.bak-offline';

const places = ({ private: own, state, smbConf }: Look['paths']): string[] => [
  ...new Set([own, state, smbConf.replace(/\/[^/]*$/, '')].filter(dir => dir.startsWith('/') && dir !== '/')),
];

/** On this host also when everything else was called off. */
const runOn = (ctx: TargetContext, site: Site) => (site.local ? ctx.run.text : site.text);

async function copies(ctx: TargetContext, site: Site, paths: Look['paths']): Promise<string[]> {
  const { stdout } = await runOn(ctx, site)({ file: 'find', args: [...places(paths), '-type', 'f', '-name', COPIES] });
  return stdout.split('\n').filter(Boolean);
}

/**
 * Runs an offline backup; when it fails, what it left beside the files of the DC goes too. What was there before stays.
 * @throws what the backup throws; that something stays is a warning
 */
export async function sweeping<T>(ctx: TargetContext, site: Site, paths: Look['paths'], work: () => Promise<T>): Promise<T> {
  const before = new Set(await copies(ctx, site, paths));
  try {
    return await work();
  } catch (error) {
    try {
      for (const path of await copies(ctx, site, paths)) if (!before.has(path)) await site.remove(path);
    } catch (reason) {
      const text = `copies of samba-tool (${COPIES}) stay beside the files of the DC on ${site.name}; its next offline backup removes them: ${sentence(reason)}`;
      ctx.report.emit({ type: 'warning', text });
    }
    throw error;
  }
}
