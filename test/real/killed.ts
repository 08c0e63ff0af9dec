import { afterwards, drop, type Ended, type FaultyS3, type Running, type Seen } from './rig/index.ts';

/** A write to the store, by what it does to which kind of object: the same words in each run. Undefined for what only reads. */
export const stepOf = ({ method, path, query }: Seen): string | undefined => {
  const what = query.has('uploads') ? 'begin' : query.has('partNumber') ? 'part' : query.has('uploadId') ? 'complete' : method;
  if (method === 'GET' || method === 'HEAD') return undefined;
  return `${what} ${path
    .replace(/^\/[^/]+\//, '')
    .replaceAll(/\d{8}T\d{6}(\.\d+)?Z-[0-9a-f]{6}/g, 'ID')
    .replaceAll(/[0-9a-f]{12,}/gi, 'HEX')}`;
};

/** Runs it once, and says which writes it made, in order. */
export async function stepsOf(s3: FaultyS3, work: () => Promise<unknown>): Promise<string[]> {
  const from = s3.log.length;
  await work();
  return s3.log.slice(from).flatMap(entry => stepOf(entry) ?? []);
}

/**
 * Runs a program that is killed as soon as the store has done a certain write, and before the program hears of it.
 * @param wanted gets each write with its number, counted from 0, until it answers true
 * @returns that write; undefined = the program ended before
 */
export async function killedWhen(
  s3: FaultyS3,
  wanted: (step: string, n: number) => boolean,
  begin: () => Running,
): Promise<{ step?: string; ended: Ended }> {
  let seen = 0;
  let step: string | undefined;
  let child: Running | undefined;
  const strikes = (each: Seen): boolean => {
    const name = stepOf(each);
    return step === undefined && name !== undefined && wanted(name, seen++);
  };
  s3.faults = [
    {
      when: strikes,
      act: async exchange => {
        step = stepOf(exchange.seen);
        await afterwards(drop)({
          ...exchange,
          forward: async body => {
            const from = await exchange.forward(body);
            from.once('end', () => child?.kill('SIGKILL'));
            return from;
          },
        });
        child?.kill('SIGKILL');
      },
    },
  ];
  child = begin();
  const ended = await child.ended;
  s3.faults = [];
  return { ...(step === undefined ? {} : { step }), ended };
}

/** As `killedWhen`, at the `n`th write, counted from 0. */
export const killedAt = (s3: FaultyS3, n: number, begin: () => Running): ReturnType<typeof killedWhen> =>
  killedWhen(s3, (_, at) => at === n, begin);
