import { stringify } from 'yaml';
import { settingsFor } from '../settings.ts';
import { labelsOf, rendered } from './objects.ts';
import type { Rendered, World } from './types.ts';

export const CONFIG = 'bkp-config';

/** The scratch directory of every pod. */
export const SCRATCH = '/tmp';

/** Text of the bkp.yaml that pods read. */
export const configText = ({ config, env }: Pick<World, 'config' | 'env'>): string =>
  stringify(settingsFor(config, env, SCRATCH), { lineWidth: 0 });

/** The config of one namespace. It holds references, no secret: those are refused before. */
export const configMap = (world: World, namespace: string, text = configText(world), name = CONFIG): Rendered =>
  rendered(
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace, labels: labelsOf(world) },
      data: { 'bkp.yaml': text },
    },
    [
      `The environment ${world.env.name} of the config from which this was rendered. Change it there and render again: schedules stand in the CronJobs.`,
    ],
  );
