import fc from 'fast-check';

/** Values that programs trip over. */
export const ODD: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e21,
  Number.MAX_SAFE_INTEGER,
  '',
  ' ',
  '..',
  '../../etc/passwd',
  '/',
  '-rf',
  '$(id)',
  '${',
  '${HOME}',
  '__proto__',
  'constructor',
  '0d',
  '\u0000',
  '\u202e',
  'x'.repeat(3000),
  [],
  [[]],
  [null],
  {},
  { toString: 1 },
  { length: 2 },
];

/** One change of a tree of plain data: at the place that `steps` lead to. */
export interface Change {
  steps: number[];
  how: 'set' | 'drop' | 'wrap' | 'rename' | 'twice';
  odd: number;
}

export const change: fc.Arbitrary<Change> = fc.record({
  steps: fc.array(fc.nat(30), { minLength: 1, maxLength: 8 }),
  how: fc.constantFrom('set', 'drop', 'wrap', 'rename', 'twice'),
  odd: fc.nat(ODD.length - 1),
});

const NAMES = ['__proto__', 'x', '', 'App', 'type', 'toString', 'hasOwnProperty', '0'];

/** A copy of the tree with one change. */
export function changed(tree: unknown, { steps: [step = 0, ...rest], how, odd }: Change): unknown {
  if (typeof tree !== 'object' || tree === null) return ODD[odd];
  const pairs = Object.entries(tree);
  if (pairs.length === 0) return ODD[odd];
  const at = step % pairs.length;
  const [key, value] = pairs[at]!;
  const deeper = rest.length > 0 && typeof value === 'object' && value !== null;
  if (deeper) pairs[at] = [key, changed(value, { steps: rest, how, odd })];
  else if (how === 'drop') pairs.splice(at, 1);
  else if (how === 'wrap') pairs[at] = [key, odd % 2 ? [value] : { [NAMES[odd % NAMES.length]!]: value }];
  else if (how === 'rename') pairs[at] = [NAMES[odd % NAMES.length]!, value];
  else if (how === 'twice') pairs.push([`${key}2`, value]);
  else pairs[at] = [key, ODD[odd]];
  return Array.isArray(tree) ? pairs.map(([, each]) => each) : Object.fromEntries(pairs);
}

export const allChanged = (tree: unknown, changes: readonly Change[]): unknown => changes.reduce<unknown>(changed, structuredClone(tree));

/** One change of bytes: cut, overwritten, put in between, or taken out. */
export const bytesChange = fc.record({
  at: fc.nat(1_000_000),
  how: fc.constantFrom('cut', 'flip', 'put', 'take', 'fill'),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 24 }),
});

/** A copy of the bytes with changes, each somewhere in them. */
export function bent(bytes: Buffer, changes: readonly { at: number; how: string; bytes: Uint8Array }[]): Buffer {
  let now = Buffer.from(bytes);
  for (const { at, how, bytes: own } of changes) {
    const place = now.length === 0 ? 0 : at % now.length;
    const [before, after] = [now.subarray(0, place), now.subarray(place)];
    if (how === 'cut') now = Buffer.from(before);
    else if (how === 'put') now = Buffer.concat([before, own, after]);
    else if (how === 'take') now = Buffer.concat([before, after.subarray(own.length)]);
    else if (how === 'fill') now.fill(own[0]!, place, Math.min(now.length, place + own.length * 16));
    else if (now.length > 0) now[place]! ^= own[0]! || 1;
  }
  return now;
}
