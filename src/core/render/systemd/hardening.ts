import type { TargetEntry } from '../../config/types.ts';
import type { Job } from '../jobs.ts';
import { hostOf } from '../place.ts';

/** What no job of bkp needs of its host. V8 writes code while it runs, so memory that is both is not forbidden. */
const COMMON = [
  'NoNewPrivileges=yes',
  'UMask=0077',
  'PrivateTmp=yes',
  'PrivateDevices=yes',
  'ProtectSystem=strict',
  'ProtectHome=yes',
  'ProtectClock=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'ProtectControlGroups=yes',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
  'RemoveIPC=yes',
  'KeyringMode=private',
  'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
  'SystemCallArchitectures=native',
];

const CALLS = ['SystemCallFilter=@system-service', 'SystemCallFilter=~@privileged @resources @obsolete'];

/** A user's own processes, and nothing that root may. */
const UNPRIVILEGED = ['ProtectProc=invisible', 'CapabilityBoundingSet=', 'AmbientCapabilities=', ...CALLS];

/** Root on a server node: it reads what K3s has, and may nothing else beyond its own files. */
const READER = ['CapabilityBoundingSet=CAP_DAC_READ_SEARCH', ...CALLS];

/** Root on a domain controller: samba-tool takes Samba's locks, and sets owners and permissions in its copy. */
const DC = ['CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_CHOWN CAP_SETUID CAP_SETGID CAP_SYS_ADMIN'];

/** Where root has to be the one that runs, and what it may. */
const ROOTS = { server: READER, dc: DC } as const;

/** Whether a job needs root: only what reads the files of the host itself does. */
export const needsRoot = ({ kind, entry, source }: Pick<Job, 'kind' | 'entry' | 'source'>): boolean =>
  source && hostOf(kind, entry) !== undefined;

/** Lines of a `[Service]` section that close what the job does not need. */
export function hardening(job: Pick<Job, 'kind' | 'entry' | 'source'>): string[] {
  const host = hostOf(job.kind, job.entry);
  return [...COMMON, ...(needsRoot(job) && host ? ROOTS[host] : UNPRIVILEGED)];
}

/** Directories of the host that tools write to, beside stores and spool. */
export function toolPaths(job: Pick<Job, 'kind' | 'entry' | 'source'>): string[] {
  if (!needsRoot(job)) return [];
  if (job.kind === 'samba') return ['/var/lib/samba', '/var/cache/samba', '/run/samba'];
  return (job.entry as TargetEntry)['flavor'] === 'etcd' ? [] : [String((job.entry['k3s'] as { dataDir: string }).dataDir)];
}
