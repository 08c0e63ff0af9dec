import type { ProofRequest, Trial } from '../../../core/contracts.ts';
import { assertOpens } from '../../../flow/age.ts';
import type { Context } from './config.ts';
import { fingerprint } from './k3s/token.ts';
import { bring, type Contents, contentsOf, type Here } from './pieces.ts';
import { servedTrials } from './proveServed.ts';
import { sqliteTrials } from './proveSqlite.ts';
import { isGood, trial } from './proveTrial.ts';
import { refuseFull } from './trial.ts';

function tokenTrial({ manifest }: Contents, { token }: Here): Trial[] {
  if (!token) return [];
  const [found, recorded] = [fingerprint(token), manifest.baseline['token']];
  return found === recorded
    ? [{ name: 'token', state: 'ok', text: `the server token is there (${found})` }]
    : [{ name: 'token', state: 'fail', text: `the server token is ${found}, and ${recorded} was recorded` }];
}

/** Restores a backup, serves it by an etcd of its own on loopback, and tries it. */
export async function* prove(ctx: Context, request: ProofRequest): AsyncGenerator<Trial> {
  const { manifest, dir, read } = request;
  let contents!: Contents;
  let here!: Here;
  const unpacked = await trial(ctx, 'unpack', async () => {
    contents = contentsOf(manifest);
    if (manifest.line.includes('age')) await assertOpens(ctx.keys.identity(), manifest.recipients);
    await refuseFull(ctx, dir, contents.data.bytes, 'the backup');
    here = await bring(ctx, contents, dir, read);
    return { state: 'ok', text: 'fetched, decrypted, of the SHA-256 in the signed manifest, and whole' };
  });
  yield unpacked;
  if (!isGood(unpacked)) return;
  yield* tokenTrial(contents, here);
  if (contents.sqlite) yield* sqliteTrials(ctx, contents, here, request);
  else yield* servedTrials(ctx, contents, here, request);
}
