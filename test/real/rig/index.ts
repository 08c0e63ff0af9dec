import { stopAllApiServers } from './apiserver.ts';
import { killAllBkp } from './bkp.ts';
import { removeAllContainers } from './container.ts';
import { stopAllEtcd } from './etcd.ts';
import { destroyAll } from './postgres.ts';
import { destroyAllRedis } from './redis.ts';
import { stopAllS3 } from './s3.ts';
import { removeAllTemp } from './temp.ts';

export { type Account, serverAccount } from './account.ts';
export { type ApiServer, startApiServer } from './apiserver.ts';
export { type B2, startB2 } from './b2.ts';
export { type BkpOptions, bkpCommand, runBkp, startBkp, stopBkp } from './bkp.ts';
export { childrenOf, type Ended, isAlive, type Running, run, start } from './child.ts';
export { type ConfigParts, makeConfig, makeKeys, type WrittenConfig } from './config.ts';
export { type Container, givenTo, IMAGE, imageReady, inImage, podman, podmanLine, startInImage } from './container.ts';
export { Etcd, type EtcdOptions, type EtcdVersion, etcdBin, startEtcd } from './etcd.ts';
export {
  type Act,
  accessDenied,
  afterwards,
  answer,
  cutAfter,
  delay,
  drop,
  errorIn200,
  type Fault,
  type FaultyS3,
  isListing,
  type ListingFault,
  listing,
  rewrite,
  slowDown,
  stall,
  stallAfter,
  startFaulty,
  throttle,
  tooLargeHtml,
  tooSkewed,
} from './faulty.ts';
export { K3s, type K3sMode } from './k3s.ts';
export { kubeletStub } from './kubelet.ts';
export { binDir, hadolint, node24, type PostgresVersion, redisServer, root, valkeyServer } from './places.ts';
export { Pod } from './pod.ts';
export { Postgres, type PostgresOptions, type StopMode, startPostgres } from './postgres.ts';
export { type Entry, errorXml, type Seen } from './proxy.ts';
export { Redis, type RedisOptions, type RedisVersion, startRedis } from './redis.ts';
export { startRgw } from './rgw.ts';
export { type BucketOptions, type S3Server, s3Client, stopAllS3 } from './s3.ts';
export { startTcpProxy, type TcpProxy } from './tcp.ts';
export { removeTemp, tempDir } from './temp.ts';
export { startToxics, type Toxic, type Toxics } from './toxics.ts';
export { asLesser, startVersity } from './versity.ts';
export { freePort, pause, waitFor } from './wait.ts';
export { type WalgFaults, walg, walgPath, walgStorage } from './walg.ts';

/** Ends every bkp and every server that this process started and removes every temporary directory: for `afterAll`. */
export async function cleanUp(): Promise<void> {
  await killAllBkp();
  await removeAllContainers();
  await destroyAll();
  await destroyAllRedis();
  await stopAllApiServers();
  await stopAllEtcd();
  await stopAllS3();
  removeAllTemp();
}
