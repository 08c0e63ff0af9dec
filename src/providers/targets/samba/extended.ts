import { type Member, TarScan } from '../../../flow/tarScan.ts';

/** Values of an extended header: lines `LENGTH NAME=VALUE`, which may hold line breaks. */
export function extendedValues(bytes: Buffer): Map<string, string> {
  const values = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const length = Number.parseInt(bytes.subarray(at, at + 20).toString('latin1'), 10);
    if (!(length > 0)) break;
    const record = bytes.subarray(at, at + length - 1).toString('utf8');
    const [, name, value] = /^\d+ ([^=]+)=(.*)$/s.exec(record) ?? [];
    if (name !== undefined) values.set(name, value ?? '');
    at += length;
  }
  return values;
}

/** Follows a tar of Python's tarfile: what a member's own header has no room for stands in one before it (`x`, pax(1)). */
export class ExtendedScan {
  readonly #scan: TarScan;
  #isMember = false;

  /** @param onBytes gets the contents of each member in pieces, valid for the time of the call */
  constructor(onMember: (member: Member) => void, onBytes: (bytes: Buffer) => void = () => {}) {
    this.#scan = new TarScan(
      member => {
        this.#isMember = member.type !== 'x' && member.type !== 'g';
        if (!this.#isMember) return;
        const [more] = this.#scan.kept.values();
        this.#scan.kept.clear();
        const values = more === undefined ? new Map<string, string>() : extendedValues(more);
        onMember({ ...member, name: values.get('path') ?? member.name, link: values.get('linkpath') ?? member.link });
      },
      ({ type, bytes }) => type === 'x' && bytes < 1 << 20,
      bytes => this.#isMember && onBytes(bytes),
    );
  }

  /** True once the end mark has passed. */
  get ended(): boolean {
    return this.#scan.ended;
  }

  push = (chunk: Buffer): void => this.#scan.push(chunk);
}
