import { killAllBkp } from './bkp.ts';
import { destroyAll } from './postgres.ts';
import { removeAllTemp } from './temp.ts';

export { type Account, serverAccount } from './account.ts';
export { type BkpOptions, bkpCommand, runBkp, startBkp, stopBkp } from './bkp.ts';
export { childrenOf, type Ended, isAlive, type Running, run, start } from './child.ts';
export { type ConfigParts, makeConfig, makeKeys, type WrittenConfig } from './config.ts';
export { binDir, node24, type PostgresVersion, root } from './places.ts';
export { Postgres, type PostgresOptions, type StopMode, startPostgres } from './postgres.ts';
export { removeTemp, tempDir } from './temp.ts';
export { freePort, pause, waitFor } from './wait.ts';

/** Ends every bkp and every server that this process started and removes every temporary directory: for `afterAll`. */
export async function cleanUp(): Promise<void> {
  await killAllBkp();
  await destroyAll();
  removeAllTemp();
}
