import type { Check } from '../../../core/contracts.ts';
import { sentence } from '../../../core/errors.ts';
import type { Caller } from './caller.ts';
import { StoreFault } from './errors.ts';
import { bucketLock, lasts, lockless, md5, setHold, storeNow } from './lock.ts';
import { isAbsent, look } from './look.ts';
import { lockFields } from './parts.ts';
import { removeVersion } from './remove.ts';
import type { Hold, Lock } from './settings.ts';

/** How long the canary is held: it has to outlive six requests, and whoever asks waits for its end. */
const CANARY_MS = 20_000;

/** How an attack went: `done` = the store let it happen. */
type Outcome = { done: boolean; said: string };

interface Canary {
  caller: Caller;
  key: string;
  version: string | undefined;
  hold: Hold;
}

async function attack(work: () => Promise<unknown>): Promise<Outcome> {
  try {
    await work();
    return { done: true, said: '' };
  } catch (error) {
    if (error instanceof StoreFault && error.fault.status !== undefined && error.fault.status >= 400 && error.fault.status < 500)
      return { done: false, said: [error.fault.code, error.fault.message].filter(Boolean).join(': ') };
    throw error;
  }
}

/** With `bypass` the request asks to be let through governance mode. */
const removal = ({ caller, key, version }: Canary, bypass: boolean) =>
  caller.call(
    'DeleteObject',
    sdk =>
      new sdk.DeleteObjectCommand({
        Bucket: caller.settings.bucket,
        Key: key,
        ...(version === undefined ? {} : { VersionId: version }),
        ...(bypass ? { BypassGovernanceRetention: true } : {}),
      }),
    { key },
  );

const shortening = ({ caller, key, version, hold }: Canary, bypass: boolean) =>
  setHold(caller, { key, version, bypass, hold: { ...hold, until: new Date(hold.until.getTime() - CANARY_MS / 4) } });

async function hatch(caller: Caller, key: string, { mode }: Lock): Promise<Canary> {
  const body = Buffer.from('bkp canary\n');
  const hold: Hold = { mode, until: new Date(storeNow(caller).getTime() + CANARY_MS) };
  const { VersionId } = await caller.call(
    'PutObject',
    sdk =>
      new sdk.PutObjectCommand({
        Bucket: caller.settings.bucket,
        Key: key,
        Body: body,
        ContentLength: body.length,
        ContentMD5: md5(body),
        ...lockFields(hold),
      }),
    { key, bytes: body.length },
  );
  const seen = await look(caller, key);
  if (!lasts(seen?.hold, hold.until)) throw caller.fault('HeadObject', 'the store took a lock and does not show it', key);
  return { caller, key, version: VersionId ?? seen?.version, hold };
}

const isRunOut = ({ caller, hold }: Canary): boolean => storeNow(caller) >= hold.until;

/** The attacks, from the plainest to those that ask for a bypass; the first that succeeds ends it. */
async function verdict(canary: Canary): Promise<Omit<Check, 'name'>> {
  const { caller, hold } = canary;
  const mode = hold.mode.toLowerCase();
  const tried: readonly [string, boolean, (canary: Canary, bypass: boolean) => Promise<unknown>][] = [
    ['removed by its version', false, removal],
    ['held for a shorter time', false, shortening],
    ['held for a shorter time, with a bypass asked for', true, shortening],
    ['removed by its version, with a bypass asked for', true, removal],
  ];
  const said: string[] = [];
  for (const [what, bypass, work] of tried) {
    const { done, said: words } = await attack(() => work(canary, bypass));
    if (isRunOut(canary))
      return { state: 'warn', text: 'not known: the store answered so slowly that the lock of the canary ran out meanwhile' };
    if (done) return broken(caller, what, bypass);
    said.push(words);
  }
  const right = /lock|retention|protected|WORM/i.test(said[0]!)
    ? `it answered ${said[0]}`
    : `these credentials have no right to do so (${said[0]}), so that the lock itself was not put to the test`;
  const more = hold.mode === 'GOVERNANCE' ? '; an account with s3:BypassGovernanceRetention still could, and mode compliance has none' : '';
  return {
    state: 'ok',
    text: `a canary in ${mode} mode could be neither removed nor shortened with this host's credentials: ${right}${more}`,
  };
}

function broken(caller: Caller, what: string, bypass: boolean): Omit<Check, 'name'> {
  const governance = bypass && caller.settings.lock?.mode === 'GOVERNANCE';
  return {
    state: 'fail',
    text: `it does not withstand: a locked canary could be ${what}, with the credentials that this host has`,
    mend: governance
      ? `take the right s3:BypassGovernanceRetention from the key, or set lock.mode: compliance in stores.${caller.name}`
      : 'the service does not keep its object lock: use another for the copy that has to survive',
  };
}

/** Nothing of it stays, once its time is over. @returns what stays, in words */
async function bury({ caller, key, version, hold }: Canary): Promise<string> {
  try {
    const seen = await look(caller, key);
    if (seen?.hold) await caller.host.clock.sleep(Math.max(0, hold.until.getTime() - storeNow(caller).getTime()) + 1000);
    await removeVersion(caller, key, version);
    return '';
  } catch (error) {
    return isAbsent(error) ? '' : `; the canary ${key} stays, and may be removed after ${hold.until.toISOString()}: ${sentence(error)}`;
  }
}

/**
 * Tries with the store's own credentials to remove and to shorten a canary that is held for a few seconds, and takes it away afterwards.
 * Never throws.
 * @param key of the canary; nothing else has it
 */
export async function withstand(caller: Caller, key: string): Promise<Check> {
  const name = `store ${caller.name}: immutability`;
  const { lock } = caller.settings;
  if (!lock)
    return {
      name,
      state: 'warn',
      text: 'what is put there can be removed: `lock` is not set',
      mend: `lock: { mode: compliance, days: 30 }`,
    };
  try {
    if ((await bucketLock(caller))?.enabled === false) throw lockless(caller);
    const canary = await hatch(caller, key, lock);
    const found = await verdict(canary).catch(async (error): Promise<Omit<Check, 'name'>> => ({ state: 'fail', text: sentence(error) }));
    return { name, ...found, text: `${found.text}${await bury(canary)}` };
  } catch (error) {
    return { name, state: 'fail', text: sentence(error) };
  }
}
