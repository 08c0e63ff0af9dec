import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { parseConf, pathsIn } from '../../../../src/providers/targets/samba/conf.ts';
import { checkPaths } from '../../../../src/providers/targets/samba/paths.ts';

const TEXT = `# a comment
[globals]
	Private Dir = /r/private
	lock directory = /r
	log file = /var/log/samba/log.%m
	; another = /x
	tls \\
certfile = /etc/ssl/dc.pem
[sysvol]
	path = /r/state/sysvol
[home]
	path = /home/%U
[data]
	directory = /srv/data
`;

it('reads a smb.conf as Samba does: blanks, case, comments, lines that go on', () => {
  expect(pathsIn(parseConf(TEXT))).toEqual([
    { what: 'private dir', path: '/r/private', own: true },
    { what: 'lock directory', path: '/r', own: true },
    { what: 'tls certfile', path: '/etc/ssl/dc.pem', own: false },
    { what: 'share sysvol', path: '/r/state/sysvol', own: true },
    { what: 'share data', path: '/srv/data', own: false },
  ]);
});

it('SA07: each path of a restored smb.conf is in its place, or is told', async () => {
  const to = mkdtempSync(join(tmpdir(), 'bkp-conf-'));
  try {
    for (const name of ['etc', 'private']) mkdirSync(join(to, name));
    const lines = [
      `private dir = ${to}/private`,
      `cache directory = ${to}/cache`,
      `state directory = ${to}/state`,
      'lock directory = /var/lib/samba',
      `tls keyfile = ${to}-gone/key.pem`,
    ];
    writeFileSync(
      join(to, 'etc/smb.conf'),
      `[global]\n${lines.join('\n')}\n[netlogon]\npath = /var/lib/samba/sysvol/x\n[other]\npath = ${to}-gone\n`,
    );
    expect(await checkPaths(to)).toEqual({
      faults: [
        `state directory leads to ${to}/state, which is missing`,
        `lock directory leads to /var/lib/samba, out of ${to}`,
        `share netlogon leads to /var/lib/samba/sysvol/x, out of ${to}`,
      ],
      absent: [
        `tls keyfile leads to ${to}-gone/key.pem, which is not on this host and in no backup of this kind`,
        `share other leads to ${to}-gone, which is not on this host and in no backup of this kind`,
      ],
      right: 2,
    });
    expect(readdirSync(to)).toContain('bind-dns');
  } finally {
    rmSync(to, { recursive: true });
  }
});
