import { Document, stringify } from 'yaml';
import type { Rendered } from './types.ts';

const comment = (lines: readonly string[]): string => lines.map(line => (line ? `# ${line}\n` : '#\n')).join('');

/** One object as YAML, with its comment above it. Texts of one line stay on it. */
export const yamlOf = ({ why, object }: Pick<Rendered, 'why' | 'object'>): string => {
  const document = new Document(object, { aliasDuplicateObjects: false });
  return `${comment(why)}${document.toString({ lineWidth: 0 })}`;
};

/** All objects as one stream for `kubectl apply -f -`, with a comment at its head. */
export const streamText = (head: readonly string[], objects: readonly Rendered[]): string =>
  [comment(head), ...objects.map(each => `---\n${yamlOf(each)}`)].join('');

/** A file of a directory that `kubectl apply -k` takes. `yours` = it is filled in by a person, and stays. */
export interface MadeFile {
  path: string;
  text: string;
  yours?: true;
}

/** A kustomize base: a file for each object, and the list of them. */
export function kustomizeBase(head: readonly string[], objects: readonly Rendered[]): MadeFile[] {
  const files = objects.map((each): MadeFile => ({ path: each.file, text: yamlOf(each), ...(each.yours ? { yours: true } : {}) }));
  const list = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', resources: files.map(({ path }) => path) };
  return [...files, { path: 'kustomization.yaml', text: `${comment(head)}${stringify(list)}` }];
}
