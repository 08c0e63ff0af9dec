import type { App, Opened } from '../../app.ts';
import { BkpError } from '../../core/errors.ts';
import type { KitSource } from '../../ops/kit/source.ts';
import type { BareSession } from '../session.ts';

/**
 * The platform of an app as a kit is made of it; an entry that the other environment lacks has no backups to restore.
 * Every store has to open: a kit without the secret of one would be none for that store.
 */
export async function sourceOf(app: App, envName: string | undefined, session: BareSession): Promise<KitSource> {
  const { registry, source } = await import('../../app.ts');
  const env = app.env(envName);
  const origin = app.env(env.restoresFrom ?? env.name);
  const opened: Opened[] = [];
  for (const { kind, name } of app.select(env.name)) {
    if (origin.targets[kind]?.[name]) opened.push(app.target(env.name, kind, name, { backupsOf: origin.name, shut: 'none' }));
    else session.report.emit({ type: 'warning', text: `${kind}/${name} is not in ${origin.name}, so it has no backups to restore` });
  }
  if (opened.length === 0) throw new BkpError('notFound', `environment ${env.name} has nothing that ${origin.name} backs up`);
  return { config: app.config, text: app.text, registry, secrets: source, env: env.name, origin: origin.name, opened };
}
