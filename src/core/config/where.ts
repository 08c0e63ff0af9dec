import * as z from 'zod';

const text = z.string().min(1);
const temp = text.optional().describe('directory there for temporary files; default: what `mktemp` takes');

const kubectl = z
  .strictObject({
    namespace: text.default('default'),
    pod: text.optional().describe('name of the pod'),
    selector: text.optional().describe('labels of the pod, e.g. app=redis; of those that are ready the first by name is taken'),
    container: text.optional().describe('container of the pod; default: its first'),
    context: text.optional().describe('context of the kubeconfig'),
    kubeconfig: text.optional().describe("path of a kubeconfig; default: kubectl's own, in a pod its service account"),
    temp,
  })
  .refine(({ pod, selector }) => (pod === undefined) !== (selector === undefined), { error: 'needs either pod or selector' });

const ssh = z.strictObject({
  host: text,
  user: text.optional(),
  port: z.int().min(1).max(65535).optional(),
  identityFile: text.optional().describe('path of a private key; default: what ssh finds itself'),
  knownHosts: text.optional().describe('path of a file with the host key; a host that is not in it is refused'),
  temp,
});

/** Where a target's tools run: `local`, or `{kubectl: …}`, or `{ssh: …}`. */
export const where = z
  .union([z.literal('local'), z.strictObject({ kubectl }), z.strictObject({ ssh })])
  .default('local')
  .describe('where the tools run: `local`, `{kubectl: {namespace, pod}}` or `{ssh: {host, user}}`');
