import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Container, givenTo } from './container.ts';
import { tempDir } from './temp.ts';

/** What a cluster would give to a pod. */
export interface World {
  /** Data of the ConfigMap. */
  config: Readonly<Record<string, string>>;
  /** Values of the Secrets that become variables, by variable. */
  secrets: Readonly<Record<string, string>>;
  /** Directories of this host that stand for claims, by claim. */
  claims?: Readonly<Record<string, string>>;
}

/** A pod on this host: its volumes are directories here, the same for each of its containers. */
export class Pod {
  readonly #dirs = new Map<string, string>();
  readonly #spec: Record<string, any>;
  readonly #world: World;

  constructor(spec: Record<string, any>, world: World) {
    this.#spec = spec;
    this.#world = world;
  }

  /** The directory that stands for one of its volumes. */
  async #dir(volume: Record<string, any>): Promise<string> {
    const { name } = volume;
    const dir = this.#dirs.get(name) ?? this.#world.claims?.[volume['persistentVolumeClaim']?.claimName] ?? tempDir();
    if (!this.#dirs.has(name)) {
      if (volume['configMap']) for (const [file, text] of Object.entries(this.#world.config)) writeFileSync(join(dir, file), text);
      await givenTo(this.#spec['securityContext'].fsGroup, dir);
    }
    this.#dirs.set(name, dir);
    return dir;
  }

  async #mount({ name, mountPath, subPath, readOnly }: Record<string, any>): Promise<string> {
    const volume = this.#spec['volumes'].find((each: Record<string, any>) => each['name'] === name);
    const dir = await this.#dir(volume);
    // A file of a Secret is the one of this host under the path by which the config names it.
    if (volume.secret) {
      copyFileSync(mountPath, join(dir, subPath));
      await givenTo(this.#spec['securityContext'].fsGroup, dir);
    }
    return `${subPath ? join(dir, subPath) : dir}:${mountPath}${readOnly ? ':ro' : ''}`;
  }

  /** One of its containers, for `inImage`. */
  async container(spec: Record<string, any>): Promise<{ args: string[]; container: Container }> {
    const [entrypoint, ...command] = spec['command'] ?? [];
    const variables: { name: string; value?: string }[] = spec['env'] ?? [];
    const mounts = [];
    for (const mount of spec['volumeMounts'] ?? []) mounts.push(await this.#mount(mount));
    return {
      args: [...command, ...(spec['args'] ?? [])],
      container: {
        mounts,
        env: Object.fromEntries(variables.map(({ name, value }) => [name, value ?? this.#world.secrets[name]!])),
        user: this.#spec['securityContext'].runAsUser,
        ...(entrypoint ? { entrypoint } : {}),
      },
    };
  }
}
