import { Command } from 'commander';
import type { Check } from '../core/contracts.ts';
import type { Run } from './session.ts';

const told = (check: Check): string[] => [
  `${check.state.toUpperCase().padEnd(4)}  ${check.name}: ${check.text}`,
  ...(check.mend ?? '')
    .split('\n')
    .filter(line => line !== '')
    .map(line => `        ${line}`),
];

/** `bkp doctor [target] [name]`: each line ok, warn or fail, and what mends it. Exit 10 when something fails. */
export const doctorCommand = (run: Run): Command =>
  new Command('doctor')
    .description('check what backup and restore need, and say what to type where something is missing')
    .argument('[target]', 'kind of target')
    .argument('[name]', 'entry of that kind')
    .action((kind?: string, name?: string) =>
      run(async session => {
        const { doctorTarget } = await import('../ops/doctor.ts');
        const checks: (Check & { target: string })[] = [];
        for (const { target, ctx } of session.app.targets(session.options.env, kind, name)) {
          for await (const check of doctorTarget(target, ctx)) checks.push({ target: `${ctx.kind}/${ctx.name}`, ...check });
        }
        const several = new Set(checks.map(check => check.target)).size > 1;
        session.result(
          { checks },
          checks.flatMap(check => told(several ? { ...check, name: `${check.target} ${check.name}` } : check)),
        );
        return checks.some(check => check.state === 'fail') ? 'unhealthy' : 'done';
      }),
    );
