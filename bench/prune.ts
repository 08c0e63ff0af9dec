// How long it takes to decide over 100,000 backups in memory, and to make a plan over 100,000 objects (with --large also over a million)
// of an S3 server: listing, manifests, plan. The peer of the listing is `s5cmd ls`.
import { join } from 'node:path';
import { cleanUp, tempDir } from '../test/real/rig/index.ts';
import { bundled } from './bundled.ts';
import { inMemory } from './catalog/inMemory.ts';
import { CONNECTIONS, inStore } from './catalog/inStore.ts';
import { peers } from './peers.ts';

const SIZES = process.argv.includes('--large') ? [100_000, 1_000_000] : [100_000];

const memory = inMemory();
console.log(
  `decide over ${memory.backups} backups: ${memory.ms} ms (median of ${memory.rounds}), ${memory.kept} stay, ${memory.rss_mib} MiB`,
);
const { s5cmd } = peers();
const program = await bundled('catalog/survey.ts', join(tempDir(), 'survey'));
const stores: Awaited<ReturnType<typeof inStore>>[] = [];
for (const count of SIZES) stores.push(await inStore(count, program, s5cmd));
await cleanUp();
const { ratio_list, ratio_plan } = stores[0]!;
console.log(JSON.stringify({ bench: 'prune', decide: memory, connections: CONNECTIONS, stores, ratio_list, ratio_plan }));
