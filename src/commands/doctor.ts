import { Command } from 'commander';
import type { Opened } from '../app.ts';
import type { Check } from '../core/contracts.ts';
import type { Run, Session } from './session.ts';

const told = (check: Check): string[] => [
  `${check.state.toUpperCase().padEnd(4)}  ${check.name}: ${check.text}`,
  ...(check.mend ?? '')
    .split('\n')
    .filter(line => line !== '')
    .map(line => `        ${line}`),
];

type Told = Check & { target?: string };

async function looking(opened: Iterable<Opened>): Promise<Told[]> {
  const { doctorTarget } = await import('../ops/doctor.ts');
  const checks: Told[] = [];
  for (const { target, ctx, entry } of opened)
    for await (const check of doctorTarget(target, ctx, entry)) checks.push({ target: `${ctx.kind}/${ctx.name}`, ...check });
  return checks;
}

/** Of the environment as a whole. */
async function ofKit({ app, options }: Session): Promise<Told> {
  const [{ kitCheck }, { registry }] = await Promise.all([import('../ops/status/kit.ts'), import('../app.ts')]);
  const env = app.env(options.env).name;
  return { target: env, ...(await kitCheck({ config: app.config, text: app.text, registry, env }, app.stack(env, { shut: 'all' }))) };
}

/** Of stores, whatever target they are of. */
async function withstanding(opened: Iterable<Opened>): Promise<Told[]> {
  const { immutability } = await import('../ops/immutability.ts');
  return immutability([...opened].map(({ ctx }) => ctx));
}

/** `bkp doctor [target] [name]`: each line ok, warn or fail, and what mends it. Exit 10 when something fails. */
export const doctorCommand = (run: Run): Command =>
  new Command('doctor')
    .description('check what backup and restore need, and say what to type where something is missing')
    .argument('[target]', 'kind of target')
    .argument('[name]', 'entry of that kind')
    .option('--immutability', "only try to destroy a canary in each store, with this host's own credentials; takes half a minute")
    .action((kind: string | undefined, name: string | undefined, flags: { immutability?: boolean }) =>
      run(async session => {
        const opened = session.app.targets(session.options.env, kind, name);
        const checks = flags.immutability
          ? await withstanding(opened)
          : [...(await looking(opened)), ...(kind === undefined ? [await ofKit(session)] : [])];
        const several = new Set(checks.map(check => check.target)).size > 1;
        session.result(
          { checks },
          checks.flatMap(check => told(several ? { ...check, name: `${check.target} ${check.name}` } : check)),
        );
        return checks.some(check => check.state === 'fail') ? 'unhealthy' : 'done';
      }),
    );
