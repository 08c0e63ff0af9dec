import { randomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Command } from 'commander';
import { BkpError } from '../core/errors.ts';
import { redacted, testMessage } from '../core/notify/message.ts';
import type { Delivery } from '../ops/notify/deliver.ts';
import type { Run, Session } from './session.ts';

const told = ({ name, type, ok, error }: Delivery): string =>
  `${ok ? 'OK  ' : 'FAIL'}  ${name} (${type}): ${ok ? 'it took the message' : error}`;

async function record({ app, options, report }: Session, deliveries: readonly Delivery[], startedAt: Date): Promise<void> {
  const { recordDelivery } = await import('../ops/notify/health.ts');
  try {
    const stack = app.stack(options.env);
    await Promise.all(deliveries.map(each => recordDelivery(stack, each, startedAt, randomBytes(3))));
  } catch (error) {
    report.emit({ type: 'note', text: `how the notifiers fared is not recorded in the stores: ${(error as Error).message}` });
  }
}

async function test(session: Session, name: string | undefined): Promise<'done' | 'failed'> {
  const [{ deliver }, { redact }] = await Promise.all([import('../ops/notify/deliver.ts'), import('../app.ts')]);
  const { app, options } = session;
  const env = app.env(options.env).name;
  const all = app.notifiers(env);
  const chosen = all.filter(each => name === undefined || each.name === name);
  if (chosen.length === 0)
    throw new BkpError(
      'notFound',
      `environment ${env} has no notifier${name === undefined ? '' : ` "${name}"`}; it has: ${all.map(each => each.name).join(', ') || 'none'}`,
      {
        next: `add one under environments.${env}.notify`,
      },
    );
  const { clock } = app;
  const startedAt = clock.now();
  const about = { env, verb: 'notify', host: hostname(), seconds: 0, at: startedAt.toISOString(), run: randomUUID() };
  const message = redacted(testMessage(about), redact);
  const notifiers = await Promise.all(chosen.map(each => deliver(each, message, clock, redact)));
  await record(session, notifiers, startedAt);
  const exit = notifiers.every(({ ok }) => ok) ? 'done' : 'failed';
  session.result({ exit, notifiers }, notifiers.map(told));
  return exit;
}

/** `bkp notify test [name]`: sends a message that says it is a test, and says which notifiers took it. */
export function notifyCommand(run: Run): Command {
  const command = new Command('notify').description('try the notifiers of an environment');
  command
    .command('test')
    .description('send a test through each notifier, whatever it wants to hear of, and say which took it; exit 1 when one did not')
    .argument('[name]', 'this notifier only')
    .action((name: string | undefined) => run(session => test(session, name)));
  return command;
}
