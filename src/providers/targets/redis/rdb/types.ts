/**
 * What has to be read of a value to get past it: a text, a number, a score as text, the type of a module and the parts of its value, so many raw bytes, or a
 * number and then so many times what the list says.
 */
export type Step = number | readonly Step[];

export const TEXT = 0;
export const NUMBER = -1;
export const SCORE = -2;
export const MODULE = -3;
export const TYPE = -4;

/** A stream; the format grew twice (Redis 7.0, 7.2). */
const stream = (generation: 1 | 2 | 3): readonly Step[] => {
  const grown = generation > 1;
  const pending: Step = [16, 8, NUMBER];
  const consumer: Step = [TEXT, 8, ...(generation > 2 ? [8] : []), [16]];
  const group: Step = [TEXT, NUMBER, NUMBER, ...(grown ? [NUMBER] : []), pending, consumer];
  return [[TEXT, TEXT], NUMBER, NUMBER, NUMBER, ...(grown ? [NUMBER, NUMBER, NUMBER, NUMBER, NUMBER] : []), group];
};

/** Value types of rdb.h up to Redis 8.0 and Valkey 9.1. One that is not here cannot be passed, and keys are then not counted. */
const COMMON: ReadonlyMap<number, readonly Step[]> = new Map<number, readonly Step[]>([
  [0, [TEXT]],
  [1, [[TEXT]]],
  [2, [[TEXT]]],
  [3, [[TEXT, SCORE]]],
  [4, [[TEXT, TEXT]]],
  [5, [[TEXT, 8]]],
  [7, [TYPE, MODULE]],
  ...[9, 10, 11, 12, 13, 16, 17, 20].map((type): [number, readonly Step[]] => [type, [TEXT]]),
  [14, [[TEXT]]],
  [15, stream(1)],
  [18, [[NUMBER, TEXT]]],
  [19, stream(2)],
  [21, stream(3)],
]);

/** Hashes whose fields expire one by one: a key of these can go when its last field does. */
const VOLATILE: Readonly<Record<'REDIS' | 'VALKEY', ReadonlyMap<number, readonly Step[]>>> = {
  REDIS: new Map<number, readonly Step[]>([
    [24, [8, [NUMBER, TEXT, TEXT]]],
    [25, [8, TEXT]],
  ]),
  VALKEY: new Map<number, readonly Step[]>([[22, [[TEXT, TEXT, 8]]]]),
};

export type Magic = keyof typeof VOLATILE;

/** How to get past a value of a type, and whether its fields expire by themselves; undefined for a type of a later format. */
export function passOf(magic: Magic, type: number): { steps: readonly Step[]; fields: boolean } | undefined {
  const steps = COMMON.get(type);
  if (steps) return { steps, fields: false };
  const other = VOLATILE[magic].get(type);
  return other && { steps: other, fields: true };
}
