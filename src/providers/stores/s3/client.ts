import type { Agent } from 'node:http';
import type * as Sdk from '@aws-sdk/client-s3';
import { BkpError } from '../../../core/errors.ts';
import type { Settings } from './settings.ts';

/** Time to make a connection: milliseconds. */
const CONNECT = 10_000;

/** The SDK and two clients over the same connections. */
export interface Clients {
  sdk: typeof Sdk;
  /** Gives up a connection on which nothing moves. */
  quick: Sdk.S3Client;
  /** Leaves that to the caller: for bodies that are read as fast as their reader can, and for answers that take their time. */
  patient: Sdk.S3Client;
}

/** Node's agents speak to proxies from these versions on. */
function hasProxyAgents(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21);
}

function proxyOf(name: string, { proxy }: Settings): { proxyEnv?: Record<string, string> } {
  if (proxy === undefined) return {};
  if (!hasProxyAgents(process.versions.node)) {
    throw new BkpError('usage', `store ${name} has a proxy, and Node ${process.versions.node} cannot use one`, {
      next: 'Node 22.21, 24.5 and later can',
    });
  }
  return { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } };
}

async function agentOf(name: string, settings: Settings): Promise<Agent> {
  const options = { keepAlive: true, maxSockets: settings.connections, ...proxyOf(name, settings) };
  if (settings.endpoint.startsWith('http:')) return new (await import('node:http')).Agent(options);
  const { Agent: HttpsAgent } = await import('node:https');
  return new HttpsAgent({ ...options, ...(settings.ca === undefined ? {} : { ca: settings.ca }) });
}

/** Next to the wire, so that refusals are seen as well. */
function tellDates(client: Sdk.S3Client, onDate: (date: Date) => void): void {
  client.middlewareStack.add(
    next => async args => {
      const result = await next(args);
      const date = new Date((result.response as { headers?: Record<string, string> }).headers?.['date'] ?? '');
      if (!Number.isNaN(date.getTime())) onDate(date);
      return result;
    },
    { step: 'deserialize', name: 'bkpDates', priority: 'low' },
  );
}

/**
 * Whatever the SDK would otherwise take from AWS_* variables and ~/.aws of whoever runs this: they are of other programs, and one that is not
 * as it should be would end each request, or fill the log.
 */
const PLAIN = {
  useDualstackEndpoint: false,
  useFipsEndpoint: false,
  useArnRegion: false,
  disableS3ExpressSessionAuth: true,
  authSchemePreference: [],
  sigv4aSigningRegionSet: [],
  defaultsMode: 'standard',
  maxAttempts: 1,
  retryMode: 'standard',
  userAgentAppId: 'bkp',
} satisfies Sdk.S3ClientConfig;

/**
 * Loads the SDK and makes the clients; nothing is sent yet. The SDK tries once, since our own loop knows more; no checksum that a
 * service did not ask for; the clock is not guessed from answers, so that a wrong one is noticed.
 * @param onDate is told the store's clock with every answer
 * @throws BkpError('usage') when a proxy is asked of a Node that cannot
 */
export async function makeClients(name: string, settings: Settings, onDate: (date: Date) => void): Promise<Clients> {
  const [sdk, { NodeHttpHandler }, agent] = await Promise.all([
    import('@aws-sdk/client-s3'),
    import('@smithy/node-http-handler'),
    agentOf(name, settings),
  ]);
  const client = (socketTimeout: number) => {
    const made = new sdk.S3Client({
      endpoint: settings.endpoint,
      region: settings.region,
      credentials: { accessKeyId: settings.accessKey, secretAccessKey: settings.secretKey },
      forcePathStyle: settings.pathStyle,
      retryStrategy: { mode: 'none', retry: (next, args) => next(args) },
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      expectContinueHeader: false,
      disableClockSkewCorrection: true,
      ...PLAIN,
      requestHandler: new NodeHttpHandler({ httpAgent: agent, httpsAgent: agent as never, connectionTimeout: CONNECT, socketTimeout }),
    });
    tellDates(made, onDate);
    return made;
  };
  return { sdk, quick: client(settings.idleTimeout), patient: client(0) };
}
