import { Crc64 } from '../../../../src/providers/targets/redis/rdb/crc64.ts';

/** A length as rdb.c writes it. */
export function length(n: number): Buffer {
  if (n < 64) return Buffer.from([n]);
  if (n < 16_384) return Buffer.from([0x40 | (n >> 8), n & 255]);
  const out = Buffer.alloc(5);
  out[0] = 0x80;
  out.writeUInt32BE(n, 1);
  return out;
}

export const text = (value: string | Buffer): Buffer => Buffer.concat([length(Buffer.byteLength(value)), Buffer.from(value)]);

export const list = (items: readonly Buffer[], per = 1): Buffer => Buffer.concat([length(items.length / per), ...items]);

export interface Entry {
  key: string;
  type: number;
  value: Buffer;
  expires?: number;
}

function entry({ key, type, value, expires }: Entry): Buffer {
  const at = Buffer.alloc(9);
  at[0] = 252;
  at.writeBigInt64LE(BigInt(expires ?? 0), 1);
  return Buffer.concat([...(expires === undefined ? [] : [at]), Buffer.from([type]), text(key), value]);
}

const aux = (name: string, value: string): Buffer => Buffer.concat([Buffer.from([250]), text(name), text(value)]);

/** A whole dump with a right checksum. */
export function dump(databases: Readonly<Record<number, readonly Entry[]>>, head = 'REDIS0010', before: readonly Buffer[] = []): Buffer {
  const parts = Object.entries(databases).flatMap(([number, entries]) => [
    Buffer.from([254]),
    length(Number(number)),
    Buffer.from([251]),
    length(entries.length),
    length(0),
    ...entries.map(entry),
  ]);
  const body = Buffer.concat([
    Buffer.from(head),
    aux('redis-ver', '7.0.15'),
    aux('ctime', '1768435200'),
    ...before,
    ...parts,
    Buffer.from([255]),
  ]);
  const crc = new Crc64();
  crc.update(body);
  return Buffer.concat([body, crc.digest()]);
}
