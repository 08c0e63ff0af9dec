import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { extendedValues } from '../../../../src/providers/targets/samba/extended.ts';
import { assertInside, assertWhole, DomainScan } from '../../../../src/providers/targets/samba/members.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bkp-members-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const DN = 'DC=AD,DC=EXAMPLE,DC=TEST';
const FILES = [
  'backup.txt',
  'etc/smb.conf',
  'private/sam.ldb',
  'private/secrets.ldb',
  ...['', 'CN=CONFIGURATION,', 'CN=SCHEMA,CN=CONFIGURATION,'].map(cn => `private/sam.ldb.d/${cn}${DN}.ldb`),
];

function put(path: string, text = 'x'): void {
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  writeFileSync(join(dir, path), text);
}

/** The archive of `dir`, written by Python's tarfile as samba-tool does it; names may be long. */
const archive = (): Buffer =>
  execFileSync(
    'python3',
    ['-c', 'import sys, tarfile\nt = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")\nt.add(sys.argv[1], arcname="./")\nt.close()', dir],
    { maxBuffer: 1 << 26 },
  );

function sysvol(files: readonly string[]): void {
  const inner = mkdtempSync(join(tmpdir(), 'bkp-sysvol-'));
  for (const file of files) {
    mkdirSync(dirname(join(inner, file)), { recursive: true });
    writeFileSync(join(inner, file), 'y'.repeat(file.length * 37));
  }
  const script =
    'import sys, tarfile, os\nt = tarfile.open(sys.argv[2], mode="w:gz")\nfor n in os.listdir(sys.argv[1]): t.add(sys.argv[1] + "/" + n, arcname=n)\nt.close()';
  execFileSync('python3', ['-c', script, inner, join(dir, 'sysvol.tar.gz')]);
  rmSync(inner, { recursive: true });
}

async function scanned(bytes: Buffer, step = 1000) {
  const scan = new DomainScan();
  try {
    for (let at = 0; at < bytes.length; at += step) {
      scan.push(bytes.subarray(at, at + step));
      await scan.drained();
    }
    return await scan.end();
  } finally {
    scan.stop();
  }
}

const POLICY = 'ad.example.test/Policies/{31B2F340-016D-11D2-945F-00C04FB984F9}';

describe('an archive of samba-tool', () => {
  beforeEach(() => {
    for (const file of FILES) put(file);
    sysvol([`${POLICY}/GPT.INI`, `${POLICY}/GPT.INI.NTACL`, `${POLICY}.NTACL`]);
  });

  it.each([1, 511, 512, 4096, 1 << 20])('is read in chunks of %i bytes', async step => {
    const contents = await scanned(archive(), step);
    expect(contents.sysvol).toMatchObject({ files: 1, policies: 1 });
    expect(assertWhole(contents, 'ad.example.test', [])).toEqual([]);
    assertInside(contents);
  });

  it('counts files of which the name is longer than a header takes, and whose permissions are missing', async () => {
    const long = `${POLICY}/Machine/Preferences/Groups/${'a'.repeat(120)}.xml`;
    sysvol([long, `${long}.NTACL`, `${POLICY}/über.txt`]);
    const { sysvol: count } = await scanned(archive());
    expect(count.files).toBe(2);
    // Of the directories, and of the file with the umlaut.
    expect(count.bare).toBeGreaterThan(1);
  });

  it.each(FILES)('SA11: without %s is no backup', async file => {
    rmSync(join(dir, file));
    const contents = await scanned(archive());
    expect(() => assertWhole(contents, 'ad.example.test', [])).toThrow(`the backup lacks ${file}`);
  });

  it('SA11: without what the DC has, or with an empty file, is none either', async () => {
    put('private/secrets.ldb', '');
    const contents = await scanned(archive());
    expect(() => assertWhole(contents, 'ad.example.test', ['private/secrets.tdb'])).toThrow(
      'private/secrets.ldb (empty), private/secrets.tdb',
    );
  });

  it('SA11: a link is as good as what it leads to', async () => {
    rmSync(join(dir, 'etc/smb.conf'));
    put('etc/smb.conf.d');
    symlinkSync('smb.conf.d', join(dir, 'etc/smb.conf'));
    expect(assertWhole(await scanned(archive()), 'ad.example.test', [])).toEqual([]);
    rmSync(join(dir, 'etc/smb.conf'));
    symlinkSync('/etc/samba/smb.conf', join(dir, 'etc/smb.conf'));
    const out = await scanned(archive());
    expect(() => assertWhole(out, 'ad.example.test', [])).toThrow('etc/smb.conf (only a link to /etc/samba/smb.conf)');
    expect(() => assertInside(out)).toThrow('a restore would write there');
  });

  it('a link out of it that is only read is a warning, one that is written through is refused', async () => {
    symlinkSync('/etc/krb5.conf', join(dir, 'private/krb5.conf'));
    const read = await scanned(archive());
    expect(assertWhole(read, 'ad.example.test', [])).toEqual(['private/krb5.conf is a link to /etc/krb5.conf, which is not in the backup']);
    assertInside(read);
    symlinkSync('/etc/krb5.keytab', join(dir, 'private/secrets.keytab'));
    const written = await scanned(archive());
    expect(() => assertInside(written)).toThrow('private/secrets.keytab');
  });

  it('SA11: of a domain with a hyphen in its name has its partitions under escaped names', async () => {
    rmSync(join(dir, 'private/sam.ldb.d'), { recursive: true });
    const names = ['', 'CN%3DCONFIGURATION%2C', 'CN%3DSCHEMA%2CCN%3DCONFIGURATION%2C'].map(
      cn => `private/sam.ldb.d/${cn}DC%3DX-1%2CDC%3DEXAMPLE%2CDC%3DTEST.ldb`,
    );
    for (const name of names) put(name);
    expect(assertWhole(await scanned(archive()), 'x-1.example.test', names)).toEqual([]);
    rmSync(join(dir, names[1]!));
    const contents = await scanned(archive());
    expect(() => assertWhole(contents, 'x-1.example.test', [])).toThrow(
      'the backup lacks private/sam.ldb.d/CN=CONFIGURATION,DC=X-1,DC=EXAMPLE,DC=TEST.ldb',
    );
    expect(() => assertWhole(contents, 'x-1.example.test', names)).toThrow('the backup lacks');
  });

  it('that is cut anywhere is none', async () => {
    const bytes = archive();
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: bytes.length - 10_241 }), async length => {
        await expect(scanned(bytes.subarray(0, length))).rejects.toThrow();
      }),
      { numRuns: 30 },
    );
  });

  it('whose sysvol is cut is none', async () => {
    put('sysvol.tar.gz', '');
    await expect(scanned(archive())).rejects.toThrow('sysvol.tar.gz in the backup is not whole');
  });
});

it('extended headers give back what was put in', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,10}$/), fc.string()), values => {
      const record = ([name, value]: [string, string]): Buffer => {
        const rest = Buffer.from(` ${name}=${value}\n`);
        let length = rest.length;
        while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
        return Buffer.concat([Buffer.from(String(length)), rest]);
      };
      const pairs = Object.entries(values).map(([name, value]): [string, string] => [name, Buffer.from(value).toString()]);
      expect([...extendedValues(Buffer.concat(pairs.map(record)))]).toEqual(pairs);
    }),
  );
});
