import type { Evidence, TargetEvidence } from '../../../src/core/evidence.ts';
import type { ReportMaterial, StoredSize } from '../../../src/core/reportMaterial.ts';

const DAY = 86_400_000;
const MIB = 2 ** 20;

/** By target: engine, wave, usual RTO and RPO, the promised RPO in seconds, and the stored size of a backup in MiB. */
const STACK = [
  ['etcd', 'k3s', 'k3s', 0, 48, 19_000, 43_200, 21],
  ['postgres', 'app', 'native', 1, 1460, 4.2, 900, 41_000],
  ['redis', 'cache', 'rdb', 1, 9.5, 431, 600, 180],
  ['samba', 'ad', 'samba', 1, 131, 71_000, 86_400, 64],
  ['volumes', 'uploads', 'hetzner', 2, 372, 76_000, 86_400, 9400],
] as const;

export const idAt = (at: Date, tail: number): string =>
  `${at.toISOString().replace(/[-:]|\.\d+/g, '')}-${tail.toString(16).padStart(6, '0')}`;

/** Something between 0 and 1 that is the same every time. */
const wobble = (n: number): number => Math.abs(Math.sin(n * 12.9898) * 43_758.5453) % 1;

const round = (value: number): number => Number(value.toFixed(1));

function good([kind, name, engine, wave, rto, rpo, promised, mib]: (typeof STACK)[number], n: number, at: Date): TargetEvidence {
  const took = rto * (0.85 + 0.02 * n + 0.25 * wobble(n + rto));
  const lost = rpo * (0.6 + 0.35 * wobble(n * 3 + rpo));
  const phases = { fetch: round(took * 0.55), restore: round(took * 0.4), start: round(took * 0.05), prove: round(took * 0.3) };
  const bytes = Math.round(mib * MIB * (1 + 0.03 * n));
  return {
    kind,
    name,
    engine,
    wave,
    result: 'passed',
    store: n % 4 === 3 ? 'b2' : 'hetzner',
    backup: idAt(new Date(at.getTime() - 2 * 3_600_000), n),
    recoveryPointAt: new Date(at.getTime() - lost * 1000).toISOString(),
    storedBytes: bytes,
    plainBytes: bytes * 3,
    phases,
    rtoSeconds: round(phases.fetch + phases.restore + phases.start),
    rpoSeconds: round(lost),
    rpoPromisedSeconds: promised,
    checks: [
      { name: 'unpack', state: 'ok', text: 'fetched, decrypted, of the SHA-256 in the signed manifest', seconds: phases.fetch },
      { name: 'recovery', state: 'ok', text: 'a private server replayed to the end and takes connections', seconds: phases.start },
      { name: 'baseline', state: 'note', text: 'rows differ by 0.3 % from what the source estimated' },
    ],
  };
}

const broken = (target: TargetEvidence): TargetEvidence => {
  const { rtoSeconds: _, rpoSeconds: __, phases: ___, recoveryPointAt: ____, ...rest } = target;
  return {
    ...rest,
    result: 'failed',
    checks: [
      target.checks[0]!,
      {
        name: 'recovery',
        state: 'fail',
        text: 'the private server ended while it replayed: requested WAL segment 0000000100000A3F0000007C is in no store',
        mend: 'bkp verify postgres app\nbkp restore postgres app --from-backup 20260401T020000Z-00000b --from b2 --to /srv/pg',
        seconds: 61,
      },
    ],
  };
};

const notTried = (
  { kind, name, engine, wave, rpoPromisedSeconds }: TargetEvidence,
  result: 'failed' | 'unproven',
  skipped: string,
): TargetEvidence => ({
  kind,
  name,
  engine,
  wave,
  result,
  skipped,
  checks: [],
  ...(rpoPromisedSeconds === undefined ? {} : { rpoPromisedSeconds }),
});

/** The `n`-th monthly drill of a made-up stack. */
export function drill(n: number, result: Evidence['result'] = 'passed'): Evidence {
  const at = new Date(Date.UTC(2025, 5 + n, 1, 4, 0, Math.floor(40 * wobble(n))));
  const targets = STACK.map(each => good(each, n, at));
  if (result === 'failed') {
    targets[1] = broken(targets[1]!);
    targets[4] = notTried(targets[4]!, 'unproven', 'postgres/app, which it waits for, did not come back');
  }
  if (result === 'unproven') targets[3] = notTried(targets[3]!, 'unproven', 'samba-tool is not on this host');
  const seconds = targets.reduce((sum, { phases }) => sum + (phases ? phases.fetch + phases.restore + phases.start + phases.prove : 0), 30);
  return {
    version: 1,
    id: idAt(at, n + 0xa0),
    env: 'production',
    drilledIn: 'staging',
    scope: 'full-dr',
    set: idAt(new Date(at.getTime() - 3_600_000), n + 0xb0),
    tool: 'bkp 0.1.0',
    startedAt: at.toISOString(),
    finishedAt: new Date(at.getTime() + seconds * 1000).toISOString(),
    result,
    targets,
  };
}

/** Eighteen monthly drills, of which one failed and one could not tell. */
export const eighteen = (): Evidence[] =>
  Array.from({ length: 18 }, (_, n) => drill(n, n === 10 ? 'failed' : n === 14 ? 'unproven' : 'passed'));

/** Stored sizes of half a thousand backups and more. */
export const sizes: readonly StoredSize[] = STACK.flatMap(([kind, name, , , , , , mib], t) =>
  Array.from({ length: kind === 'redis' ? 1000 : 90 }, (_, n, all = kind === 'redis' ? 1000 : 90) => {
    const at = new Date(Date.UTC(2026, 10, 28, 2) - (all - n) * (kind === 'redis' ? 600_000 : DAY));
    return {
      kind,
      name,
      backup: idAt(at, n),
      startedAt: at.toISOString(),
      bytes: Math.round(mib * MIB * (0.9 + 0.001 * n + 0.05 * wobble(n + t))),
    };
  }),
);

/** What a report is made from; 18 drills unless others are given. */
export const material = (change: Partial<ReportMaterial> = {}): ReportMaterial => ({
  env: 'production',
  at: '2026-11-28T05:00:00.000Z',
  tool: 'bkp 0.1.0',
  drills: change.drills ?? eighteen(),
  sizes,
  leftOut: [],
  ...change,
});
