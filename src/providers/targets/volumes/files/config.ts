import * as z from 'zod';
import { absolute, duration } from '../../../../core/config/fields.ts';
import { checks } from './checks.ts';

const text = z.string().min(1);

const claims = z
  .strictObject({
    namespace: text.default('default'),
    names: z.array(text).min(1).optional().describe('names of the claims'),
    selector: text.optional().describe('labels of the claims, e.g. backup=yes'),
    image: text.describe('image of the Job, with restic and a POSIX shell'),
    skipped: z
      .enum(['fail', 'partial', 'done'])
      .default('fail')
      .describe('how the run ends when a claim of the selection cannot be mounted; each is told with its reason'),
    start: duration.default('5m').describe('until the pod of a Job runs'),
    deadline: duration.default('6h').describe('a Job that takes longer is ended by Kubernetes'),
    context: text.optional().describe('context of the kubeconfig'),
    kubeconfig: text.optional().describe("path of a kubeconfig; default: kubectl's own, in a pod its service account"),
  })
  .refine(({ names, selector }) => (names === undefined) !== (selector === undefined), { error: 'needs either names or selector' });

/** Files by restic: of this host, or of persistent volumes. */
export const filesConfig = z
  .strictObject({
    engine: z.literal('files').describe('files by restic, encrypted, each content stored once'),
    paths: z.array(absolute).min(1).optional().describe('absolute paths of directories of this host'),
    claims: claims.optional().describe('persistent volume claims, each read by a short Job on the node of the pod that uses it'),
    password: text
      .optional()
      .describe(
        'password of the restic repositories, one line; default: derived from `keys.identity`, as `bkp keygen --derive volumes/NAME` prints it',
      ),
    marker: text
      .regex(/^[^/\0\n]+$/, { error: 'is no name of a file' })
      .optional()
      .describe('name of a file that each path has to hold: it shows that the right volume is mounted'),
    mountPoint: z
      .boolean()
      .optional()
      .describe('true = each path has to be a mount point; default: where it was one in the last backup it has to be one still'),
    exclude: z.array(text).default([]).describe("patterns of restic's --exclude"),
    oneFileSystem: z.boolean().default(true).describe('leave out what is mounted below a path'),
    program: text.optional().describe('path of restic; default: the one on PATH'),
    dataDir: absolute.optional().describe('where `bkp restore volumes` without --to puts the files'),
    cache: absolute.optional().describe("directory of restic's cache for stores elsewhere; default: restic's own, ~/.cache/restic"),
    idleTimeout: duration.default('5m').describe('restic is ended when it gets no further for this long'),
    checks,
    lockWait: duration.default('10m').describe('how long another restic that has locked a repository is waited for'),
  })
  .refine(({ paths, claims: of }) => (paths === undefined) !== (of === undefined), { error: 'needs either paths or claims' });

export type FilesConfig = z.infer<typeof filesConfig>;
