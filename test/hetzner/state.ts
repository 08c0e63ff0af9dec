/** What the double keeps of a project, in the words of the API. */
export interface Project {
  token: string;
  servers: Record<string, unknown>[];
  images: Record<string, unknown>[];
  volumes: Record<string, unknown>[];
  actions: Map<number, { id: number; command: string; status: string; progress: number; error: unknown; looks: number }>;
  /** Each next id is one more. */
  ids: number;
}

const type = (disk: number, architecture: string) => ({ id: 1, name: 'cx22', architecture, disk, cores: 2, memory: 4 });

export const aServer = (id: number, change: Record<string, unknown> = {}): Record<string, unknown> => ({
  id,
  name: `node-${id}`,
  status: 'running',
  created: '2026-01-01T00:00:00Z',
  labels: {},
  locked: false,
  volumes: [],
  primary_disk_size: 40,
  server_type: type(40, 'x86'),
  protection: { delete: false, rebuild: false },
  public_net: { ipv4: null, ipv6: { ip: '2001:db8::/64' } },
  ...change,
});

export const anImage = (id: number, change: Record<string, unknown> = {}): Record<string, unknown> => ({
  id,
  type: 'snapshot',
  status: 'available',
  name: null,
  description: `image ${id}`,
  image_size: 2.5,
  disk_size: 40,
  created: new Date(Date.UTC(2026, 0, 1, 0, 0, id)).toISOString(),
  created_from: { id: 1, name: 'node-1' },
  bound_to: null,
  os_flavor: 'debian',
  os_version: '12',
  protection: { delete: false },
  deprecated: null,
  deleted: null,
  labels: {},
  architecture: 'x86',
  ...change,
});

/** `a=b`, `a`, `!a`, `a!=b`, joined by commas: what bkp and people write. */
export function selects(selector: string, labels: Record<string, string>): boolean {
  return selector.split(',').every(part => {
    const [, not, key, operator, value] = /^(!?)([^=!]+)(?:(==|=|!=)(.*))?$/.exec(part.trim()) ?? [];
    if (key === undefined) return false;
    if (operator === '!=') return labels[key] !== value;
    if (operator) return labels[key] === value;
    return (labels[key] !== undefined) !== (not === '!');
  });
}
