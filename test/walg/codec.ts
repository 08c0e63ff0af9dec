import { Readable } from 'node:stream';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import { onPath, through } from './child.ts';
import type { Folder } from './folder.ts';
import { fatal } from './log.ts';
import { crypterOf } from './pgp.ts';
import type { Settings } from './settings.ts';

type Bytes = AsyncIterable<Uint8Array>;

interface Method {
  extension: string;
  pack?: readonly string[];
  unpack?: readonly string[];
}

/** Of a WAL-G built without cgo: no brotli. */
const METHODS: Readonly<Record<string, Method>> = {
  lz4: { extension: 'lz4', pack: ['lz4', '-q', '-c'], unpack: ['lz4', '-q', '-d', '-c'] },
  lzma: { extension: 'lzma', pack: ['xz', '--format=lzma', '-1', '-c'], unpack: ['xz', '--format=lzma', '-d', '-c'] },
  none: { extension: '' },
  zstd: { extension: 'zst', pack: ['zstd', '-q', '-c'], unpack: ['zstd', '-q', '-d', '-c'] },
};

/** In the order in which WAL-G looks for an object. */
const EXTENSIONS = Object.values(METHODS).map(({ extension }) => extension);

const withExtension = (name: string, extension: string): string => (extension ? `${name}.${extension}` : name);

/** Where lz4 or xz is not installed, zstd stands in under their names; nobody else reads it. */
const filter = ([file = '', ...args]: readonly string[], source: Bytes, instead: () => NodeJS.ReadWriteStream): Bytes =>
  onPath(file) ? through(file, args, source) : (Readable.from(source).compose(instead()) as Bytes);

/** How objects of this run are named, written and read. */
export interface Codec {
  /** `name.lz4`, as WALG_COMPRESSION_METHOD says. */
  named(name: string): string;
  /** Plain bytes → what is stored. */
  seal(plain: Bytes): Bytes;
  /** What is stored under this name → plain bytes. */
  open(name: string, stored: Bytes): Bytes;
}

/** Nothing is looked at before something is sealed or opened: `backup-list` works with any settings. */
export function lazyCodec(settings: Settings): Codec {
  let made: Codec | undefined;
  const codec = (): Codec => (made ??= codecOf(settings));
  return { named: name => codec().named(name), seal: plain => codec().seal(plain), open: (name, stored) => codec().open(name, stored) };
}

/** @throws Fatal for an unknown method or key */
export function codecOf(settings: Settings): Codec {
  const name = settings.get('WALG_COMPRESSION_METHOD') ?? '';
  const known = Object.keys(METHODS).join(' ');
  const method =
    METHODS[name] ?? fatal(`failed to configure compression: Unknown compression method: '${name}', supported methods are: [${known}]`);
  const crypter = crypterOf(settings);
  return {
    named: plain => withExtension(plain, method.extension),
    seal: plain => {
      const packed = method.pack ? filter(method.pack, plain, createZstdCompress) : plain;
      return crypter ? crypter.encrypt(packed) : packed;
    },
    open: (stored, bytes) => {
      const { unpack } = Object.values(METHODS).find(({ extension }) => extension && stored.endsWith(`.${extension}`)) ?? {};
      const packed = crypter ? crypter.decrypt(bytes) : bytes;
      return unpack ? filter(unpack, packed, createZstdDecompress) : packed;
    },
  };
}

/** Plain bytes of `name` with whatever extension it has, or undefined when there is none. */
export async function readArchive(folder: Folder, codec: Codec, name: string): Promise<Bytes | undefined> {
  for (const extension of EXTENSIONS) {
    const stored = withExtension(name, extension);
    const body = await folder.get(stored);
    if (body) return codec.open(stored, body);
  }
  return undefined;
}

/** All of it. */
export async function gathered(bytes: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}
