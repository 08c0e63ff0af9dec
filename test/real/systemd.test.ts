import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Cron } from 'croner';
import { parse } from 'yaml';
import { onCalendar } from '../../src/core/render/systemd/calendar.ts';
import { CONFIG } from '../core/render/world.ts';
import { cleanUp, root, runBkp, tempDir } from './rig/index.ts';

afterAll(cleanUp);

const analyze = (...args: string[]) => {
  const { status, stdout, stderr, error } = spawnSync('systemd-analyze', args, {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '' },
  });
  if (error) throw error;
  return { status, stdout, stderr };
};

/** The instants at which systemd would start a timer. */
function elapses(calendar: string, from: string, count: number): string[] {
  const { status, stdout, stderr } = analyze('calendar', `--base-time=${from}`, `--iterations=${count}`, calendar);
  if (status !== 0) throw new Error(stderr);
  const lines = stdout.split('\n');
  // Outside of UTC a second line gives the instant in UTC.
  return lines.flatMap((line, n) => {
    const local = /(?:Next elapse|Iter\. #\d+|Iteration #\d+): \w{3} (\S+ \S+) (\S+)/.exec(line);
    if (!local) return [];
    const utc = /\(in UTC\): \w{3} (\S+ \S+) UTC/.exec(lines[n + 1] ?? '');
    return [`${(utc?.[1] ?? local[1]!).replace(' ', 'T')}Z`];
  });
}

describe('units that bkp renders', () => {
  const dir = tempDir();
  const units = join(dir, 'etc/systemd/system');
  const config = join(tempDir(), 'bkp.yaml');
  // A service cannot know a kubeconfig that is somebody's own.
  const text = CONFIG.replaceAll(/\{ kubectl: \{ /g, '{ kubectl: { kubeconfig: /etc/bkp/kubeconfig, ').replace(
    'samba:\n',
    'samba:\n      dc: { stores: [offsite] }\n',
  );
  writeFileSync(config, text);
  const render = (...more: string[]) =>
    runBkp(['render', 'systemd', '--out', dir, '--program', join(root, 'bin/bkp.js'), ...more], { config });

  beforeAll(async () => {
    const { code, stdout, stderr } = await render();
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toContain('systemctl enable --now bkp-backup-etcd-main.timer');
  });

  const all = () => readdirSync(units).map(name => join(units, name));

  it('systemd takes every one of them, without a word', () => {
    expect(all().length).toBeGreaterThan(70);
    expect(analyze('verify', ...all())).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('a setting that systemd does not know would be seen', () => {
    const bad = join(tempDir(), 'bkp-bad.service');
    writeFileSync(bad, readFileSync(join(units, 'bkp-backup-postgres-app.service'), 'utf8').replace('UMask=', 'UMsak='));
    expect(analyze('verify', bad).stderr).toContain('UMsak');
  });

  it.each([
    ['bkp-stream-postgres-app', 2],
    ['bkp-prune-redis-far', 2],
    ['bkp-backup-etcd-main', 3],
    ['bkp-backup-samba-dc', 5],
  ])('%s is exposed by less than %d of 10', (name, most) => {
    const { stdout } = analyze('security', '--offline=true', join(units, `${name}.service`));
    const [, level] = /Overall exposure level for \S+: (\d+\.\d)/.exec(stdout) ?? [];
    process.stdout.write(`${name}: exposure ${level}\n`);
    expect(Number(level)).toBeLessThan(most);
  });

  it.each(['0 2 * * *', '*/20 9-17 * * mon-fri', '0 0 1,15 * 1', '30 3 * 1-6 7', '5,10,15 */7 * * *', '@monthly'])(
    '%s is the same instants for systemd as for bkp',
    schedule => {
      const from = new Date('2026-02-27T00:00:01Z');
      const wanted = new Cron(schedule, { timezone: 'UTC' }).nextRuns(8, from).map(run => run.toISOString().replace('.000', ''));
      const lines = onCalendar(schedule, 'UTC', 'schedule');
      const seen = lines.flatMap(line => elapses(line, '2026-02-27 00:00:01 UTC', 8)).sort();
      expect([...new Set(seen)].slice(0, 8)).toEqual(wanted);
    },
  );

  it('a zone with summer time keeps its hour', () => {
    const [line] = onCalendar('0 4 * * *', 'Europe/Berlin', 'schedule');
    expect(elapses(line!, '2026-03-28 00:00:00 UTC', 2)).toEqual(['2026-03-28T03:00:00Z', '2026-03-29T02:00:00Z']);
  });

  it('a time that clocks skip in spring is no run for systemd, and is told; one beside it, and UTC, are not', async () => {
    const [line] = onCalendar('0 2 * * *', 'Europe/Berlin', 'schedule');
    expect(elapses(line!, '2026-03-28 02:00:00 UTC', 1)).toEqual(['2026-03-30T00:00:00Z']);
    const warned = async (zone: string, schedule: string) => {
      const path = join(tempDir(), 'bkp.yaml');
      writeFileSync(
        path,
        text.replace('Europe/Berlin', zone).replace('app: { engine: native,', `app: { engine: native, schedule: "${schedule}",`),
      );
      const { code, stdout, stderr } = await runBkp(['render', 'systemd', 'postgres', 'app'], { config: path });
      expect(code).toBe(0);
      expect(stdout.startsWith('# DOUBTFUL: ')).toBe(stderr !== '');
      return stderr;
    };
    expect(await warned('Europe/Berlin', '0 2 * * *')).toMatch(
      /backup postgres\/app: clocks of Europe\/Berlin skip the time of "0 2 \* \* \*" once a year/,
    );
    expect(await warned('Europe/Berlin', '0 4 * * *')).toBe('');
    expect(await warned('UTC', '0 2 * * *')).toBe('');
  });

  it('a config of a unit is one that bkp reads, and its secrets come from where systemd puts credentials', async () => {
    const path = join(dir, 'etc/bkp/units/bkp-backup-postgres-app.yaml');
    const { code, stdout } = await runBkp(['--json', 'config', 'show'], { config: path });
    expect(code).toBe(0);
    const { password, sslrootcert } = JSON.parse(stdout).config.environments.production.postgres.app;
    const place = '/run/credentials/bkp-backup-postgres-app.service';
    expect([password, sslrootcert]).toEqual([`\${file:${place}/APP_PGPASSWORD}`, `${place}/ca.crt`]);
    expect(parse(readFileSync(path, 'utf8')).keys.signing).toBe(`\${file:${place}/signing.key}`);
  });

  it('is written over again, and not where somebody changed it', async () => {
    const unit = join(units, 'bkp-prune-postgres-app.timer');
    const before = statSync(unit).ino;
    expect(await render()).toMatchObject({ code: 0 });
    expect(statSync(unit).ino).not.toBe(before);
    writeFileSync(unit, `${readFileSync(unit, 'utf8')}# mine\n`);
    const refused = await render();
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('changed since; nothing was written') });
    expect(await render('--force')).toMatchObject({ code: 0 });
    expect(readFileSync(unit, 'utf8')).not.toContain('# mine');
  });

  it('an entry of one host alone, as JSON', async () => {
    const { code, stdout } = await runBkp(['--json', 'render', 'systemd', 'etcd', 'main'], { config });
    const { type, text: told } = JSON.parse(stdout);
    expect({ code, type }).toEqual({ code: 0, type: 'result' });
    expect(told).toContain('bkp-backup-etcd-main.timer');
    expect(told).not.toContain('postgres');
  });

  it.each([
    [['render', 'systemd', 'mysql'], 2],
    [['render', 'systemd', 'etcd', 'absent'], 6],
    [['render', 'systemd', '--prune-schedule', 'soon'], 2],
    [['render', 'kubernetes', '--image', 'B KP'], 2],
    [['render', 'kubernetes', '--pushgateway', 'http://me:secret@gate:9091'], 2],
    [['render', 'kubernetes', '--restore', 'postgres/app'], 2],
    [['render', 'kubernetes', '--lineage', 'old'], 2],
  ])('%j ends with %d', async (args, wanted) => {
    const { code, stderr } = await runBkp(args, { config });
    expect({ code, stderr }).toMatchObject({ code: wanted });
    expect(stderr).not.toContain('secret@');
  });
});
