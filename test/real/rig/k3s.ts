import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Etcd } from './etcd.ts';
import { etcdBin } from './etcd.ts';
import { root } from './places.ts';
import { tempDir } from './temp.ts';

/** What `k3s` is told by, see test/k3s/k3s.py. */
export interface K3sMode {
  mode?: 'silent' | 'part' | 'says-saved' | 'zip' | 'drop-once' | 'reset-fails' | '';
  list?: 'old' | 'new';
  /** It uploads snapshots by itself, by its own configuration. */
  s3?: boolean;
}

/** A node of K3s: its directories, and the stand-ins of its programs over a real etcd. */
export class K3s {
  readonly bin = tempDir();
  readonly dataDir = join(tempDir(), 'k3s');
  readonly configDir = tempDir();
  readonly token = `K10${'0f'.repeat(32)}::server:a-secret-of-the-cluster`;
  readonly snapshots = join(this.dataDir, 'server/db/snapshots');
  readonly #etcd: Etcd;

  constructor(etcd: Etcd) {
    this.#etcd = etcd;
    for (const [from, to] of [
      ['k3s.py', 'k3s'],
      ['systemctl.sh', 'systemctl'],
    ] as const) {
      copyFileSync(join(root, 'test/k3s', from), join(this.bin, to));
      chmodSync(join(this.bin, to), 0o755);
    }
    for (const dir of ['server/db/etcd/member/snap', 'server/db/snapshots', 'server/manifests', 'server/tls', 'server/cred'])
      mkdirSync(join(this.dataDir, dir), { recursive: true });
    this.put('server/token', `${this.token}\n`);
    this.put('server/db/etcd/member/snap/db', 'the live database');
    this.put('server/manifests/app.yaml', 'kind: Namespace');
    this.put('server/tls/server-ca.key', 'a key');
    writeFileSync(join(this.configDir, 'config.yaml'), 'cluster-init: true\n');
    writeFileSync(join(this.bin, 'active'), '');
    this.be({});
  }

  put(path: string, text: string): void {
    writeFileSync(join(this.dataDir, path), text);
  }

  /** How `k3s` behaves from now on. */
  be(mode: K3sMode): void {
    const told = { tools: etcdBin('3.6'), endpoint: this.#etcd.endpoint, token: this.token, ...mode };
    writeFileSync(join(this.bin, 'stub.json'), JSON.stringify(told));
  }

  /** The entry of the config; what a test says goes over it. */
  entry(more: Record<string, unknown> = {}, k3s: Record<string, unknown> = {}): Record<string, unknown> {
    return { bin: [this.bin, etcdBin('3.6')], k3s: { dataDir: this.dataDir, configDir: this.configDir, ...k3s }, ...more };
  }

  /** Every call of a stand-in so far, with its arguments. */
  calls(): string[][] {
    const file = join(this.bin, 'calls.log');
    return existsSync(file)
      ? readFileSync(file, 'utf8')
          .trim()
          .split('\n')
          .map(line => JSON.parse(line))
      : [];
  }

  /** Has K3s take one by its own schedule at a time. @returns its name */
  async scheduled(at: Date, as = ''): Promise<string> {
    const name = `etcd-snapshot-node1-${Math.floor(at.getTime() / 1000)}${as}`;
    await this.#etcd.ask('snapshot', 'save', join(this.snapshots, name));
    return name;
  }

  names(): string[] {
    return readdirSync(this.snapshots).sort();
  }
}
