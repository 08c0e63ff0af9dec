import { BkpError } from '../../errors.ts';
import { labelsOf, rendered } from './objects.ts';
import { nodeNamespace, type Rendered, type World } from './types.ts';

const LEVELS = ['enforce', 'audit', 'warn'];

/** A namespace with the level of Pod Security that its pods are admitted by; the one of nodes has to be `privileged`. */
function namespace(world: World, name: string, level: 'restricted' | 'privileged'): Rendered {
  if (/^(default$|kube-)/.test(name))
    throw new BkpError('usage', `the namespace ${name} is not bkp's to make: what else runs there would be refused`, {
      next: '--namespace with another one, or --existing-namespace',
    });
  const security = Object.fromEntries(LEVELS.map(mode => [`pod-security.kubernetes.io/${mode}`, level]));
  return rendered({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { ...labelsOf(world), ...security } } });
}

/** The namespaces that are used. */
export const namespaces = (world: World, used: readonly string[]): Rendered[] =>
  world.options.existingNamespace
    ? []
    : [...new Set(used)].map(name => namespace(world, name, name === nodeNamespace(world.options) ? 'privileged' : 'restricted'));
