import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { checkMember, type Member, TarScan } from '../../src/flow/tarScan.ts';
import { readList } from '../../src/providers/targets/etcd/k3s/list.ts';
import { unzipped } from '../../src/providers/targets/etcd/k3s/unzip.ts';
import { checkSnapshot } from '../../src/providers/targets/etcd/snapshotFile.ts';
import { RdbReader, readHead } from '../../src/providers/targets/redis/rdb/reader.ts';
import { dump, length, list, text } from '../providers/targets/redis/dump.ts';
import { allChanged, bent, bytesChange, change } from './mutate.ts';
import { RUNS, told, toldLater } from './told.ts';

const dir = mkdtempSync(join(tmpdir(), 'bkp-fuzz-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const fileOf = (bytes: Uint8Array): string => {
  const path = join(dir, 'it');
  writeFileSync(path, bytes);
  return path;
};
const changes = fc.array(bytesChange, { minLength: 1, maxLength: 4 });

describe('an RDB', () => {
  const whole = dump({
    0: [
      { key: 'string', type: 0, value: text('v'), expires: 1 },
      { key: 'hash', type: 4, value: list([text('f'), text('v')], 2) },
      { key: 'packed', type: 0, value: Buffer.concat([Buffer.from([0xc3]), length(4), length(4000), Buffer.from([1, 2, 3, 4])]) },
    ],
  });

  const read = (bytes: Buffer, size: number) => {
    const reader = new RdbReader(0);
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    return reader.end();
  };

  it('that was changed anywhere is refused, or is the one that it was', () => {
    fc.assert(
      fc.property(changes, fc.integer({ min: 1, max: 64 }), (bend, size) => {
        const now = bent(whole, bend);
        const outcome = told(() => read(now, size));
        // Zeros for a checksum are what a server writes that computes none: then every change goes through, and that is told.
        if ('value' in outcome && outcome.value.checksum === 'right') expect(now.equals(whole)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  it('whose head is anything at all is refused, or names a format', () => {
    const heads = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.string({ maxLength: 9 }).map(odd => Buffer.from(`REDIS${odd}`)),
    );
    fc.assert(
      fc.property(heads, bytes => {
        const outcome = told(() => readHead(Buffer.from(bytes)));
        if ('value' in outcome) expect(Number.isSafeInteger(outcome.value.version)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  it('that says that one of its fields is larger than any keeps none of it in memory', () => {
    const huge = Buffer.concat([Buffer.from('REDIS0011'), Buffer.from([250, 0x81, 0, 0, 0, 0x40, 0, 0, 0, 0])]);
    const reader = new RdbReader(0);
    const outcome = told(() => reader.push(huge));
    expect(outcome).toMatchObject({ error: { exit: 'failed', message: expect.stringContaining('damaged') } });
  });

  it('of values that hold nothing over and over comes to an end', () => {
    const many = Buffer.concat([Buffer.from('REDIS0011'), Buffer.from([254, 0, 2, 1, 65, 0x81]), Buffer.alloc(8, 0xff)]);
    expect(told(() => read(Buffer.concat([many, Buffer.alloc(4096)]), 64))).toHaveProperty('error');
  });
});

describe('a snapshot of etcd', () => {
  const pages = Buffer.alloc(4096, 7);
  const whole = Buffer.concat([pages, createHash('sha256').update(pages).digest()]);

  it('that was changed anywhere, or is anything, is refused, or is the one that it was', async () => {
    expect(await checkSnapshot(fileOf(whole), 'it')).toBe(whole.length);
    const any = fc.oneof(
      changes.map(bend => bent(whole, bend)),
      fc.uint8Array({ maxLength: 600 }).map(bytes => Buffer.from(bytes)),
    );
    await fc.assert(
      fc.asyncProperty(any, async bytes => {
        const outcome = await toldLater(() => checkSnapshot(fileOf(bytes), 'the snapshot'));
        if ('value' in outcome) expect(bytes.equals(whole)).toBe(true);
        else expect(outcome.error).toMatchObject({ exit: 'verifyFailed', message: expect.stringContaining('the snapshot') });
      }),
      { numRuns: RUNS },
    );
  });

  it('in a zip that was changed anywhere comes out, or is refused', async () => {
    const packed = deflateRawSync(whole);
    const local = Buffer.alloc(30 + 1);
    local.writeUInt32LE(0x04034b50);
    local.writeUInt16LE(8, 8);
    local.writeUInt16LE(1, 26);
    const central = Buffer.alloc(46 + 1);
    central.writeUInt32LE(0x02014b50);
    central.writeUInt16LE(8, 10);
    central.writeUInt32LE(packed.length, 20);
    central.writeUInt16LE(1, 28);
    const end = Buffer.alloc(22);
    end.writeUInt32LE(0x06054b50);
    end.writeUInt16LE(1, 10);
    end.writeUInt32LE(local.length + packed.length, 16);
    const zip = Buffer.concat([local, packed, central, end]);
    const plain = async (bytes: Buffer): Promise<Buffer> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of unzipped(fileOf(bytes))) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    expect((await plain(zip)).equals(whole)).toBe(true);
    const any = fc.oneof(
      changes.map(bend => bent(zip, bend)),
      fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes)),
    );
    await fc.assert(
      fc.asyncProperty(any, async bytes => void (await toldLater(() => plain(bytes)))),
      { numRuns: RUNS },
    );
    // The end of the directory, and then nothing: each field that is read lies behind the end of the file.
    for (let at = 1; at < 22; at += 1) expect(await toldLater(() => plain(end.subarray(0, at)))).toHaveProperty('error');
  });
});

describe('the listing of K3s', () => {
  const LISTS = [
    {
      kind: 'List',
      items: [
        {
          spec: { snapshotName: 's', nodeName: 'n', location: 'file:///var/lib/s-n-1768435200' },
          status: { size: '4128', creationTime: '2026-01-15T02:00:00Z', readyToUse: true, error: { message: 'm' } },
        },
      ],
    },
    [
      {
        name: 's',
        nodeName: 'n',
        location: 'file:///var/lib/s',
        size: 4128,
        createdAt: '2026-01-15T02:00:00Z',
        status: 'failed',
        message: 'm',
      },
    ],
  ];

  it('with anything in it is read as texts and numbers, or refused', () => {
    fc.assert(
      fc.property(fc.constantFrom(...LISTS), fc.array(change, { minLength: 1, maxLength: 3 }), (tree, all) => {
        const outcome = told(() => readList(JSON.stringify(allChanged(tree, all)) ?? ''));
        if ('error' in outcome) return;
        for (const { name, node, path = '', bytes, at, failed = '' } of outcome.value) {
          expect([name, node, path, failed].map(each => typeof each)).toEqual(['string', 'string', 'string', 'string']);
          expect(Number.isFinite(bytes)).toBe(true);
          expect(at).toBeInstanceOf(Date);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

describe('a tar', () => {
  const header = (name: string, size: string, type = '0'): Buffer => {
    const block = Buffer.alloc(512);
    block.write(name, 0);
    block.write('0000600\0', 100);
    block.write(size, 124);
    block.write(type, 156);
    block.write('ustar\x0000', 257);
    block.fill(' ', 148, 156);
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    );
    return block;
  };
  const octal = (n: number): string => `${n.toString(8).padStart(11, '0')}\0`;
  const whole = Buffer.concat([
    header('backup_label', octal(5)),
    Buffer.from('label'.padEnd(512, '\0')),
    header('base/', octal(0), '5'),
    header('base/1', octal(600)),
    Buffer.alloc(1024, 1),
    Buffer.alloc(1024),
  ]);

  const scan = (bytes: Buffer): Member[] => {
    const members: Member[] = [];
    const tar = new TarScan(member => {
      checkMember(member);
      members.push(member);
    });
    for (let at = 0; at < bytes.length; at += 300) tar.push(bytes.subarray(at, at + 300));
    return members;
  };

  it('that was changed anywhere is read, or refused; every size is one', () => {
    const sizes = fc.string({ maxLength: 11 }).map(size => Buffer.concat([header('x', size), Buffer.alloc(2048)]));
    fc.assert(
      fc.property(
        fc.oneof(
          changes.map(bend => bent(whole, bend)),
          sizes,
        ),
        bytes => {
          const outcome = told(() => scan(bytes));
          if ('value' in outcome)
            for (const member of outcome.value) expect(Number.isSafeInteger(member.bytes) && member.bytes >= 0).toBe(true);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it.each(['/etc/passwd', '../x', 'a/../../x'])('never has a member %s', name => {
    expect(told(() => scan(header(name, octal(0))))).toMatchObject({ error: { exit: 'verifyFailed' } });
  });
});
