import type { IncomingMessage } from 'node:http';
import type * as Sdk from '@aws-sdk/client-s3';
import { owned, spent } from '../../../core/spent.ts';
import type { Settings } from './settings.ts';

/** What is asked of GetObject; `Range` as in HTTP. */
export interface GetInput {
  Key: string;
  Range?: string;
}

/** What an answer to GetObject says of itself, by its names in S3. */
export interface GetOutput {
  Body: IncomingMessage;
  ContentLength?: number;
  ContentRange?: string;
  ETag?: string;
}

/** Rejects as `send` of the SDK does. */
export type Get = (input: GetInput, abortSignal: AbortSignal) => Promise<GetOutput>;

type Answer = Awaited<ReturnType<Sdk.S3Client['config']['requestHandler']['handle']>>['response'];

/** As in a canonical request. encodeURIComponent leaves a few more as they are, and keys have none of them. */
const pathOf = (key: string): string => key.split('/').map(encodeURIComponent).join('/');

/** The part of the SDK's protocol that its types leave open: rejects with the error that stands in an answer. */
interface Reader {
  deserializeResponse(operation: object, context: object, answer: Answer): Promise<object>;
}

/** Rejects with what the SDK makes of an answer that is none of success. */
async function refused(sdk: typeof Sdk, { config }: Sdk.S3Client, answer: Answer): Promise<never> {
  const [, namespace, name, traits, input, output] = sdk.GetObject$;
  const reader = config.protocol as Reader;
  const error = await reader.deserializeResponse({ namespace, name, traits, input, output }, config, answer).catch((told: Error) => told);
  throw Object.assign(error, { $response: answer });
}

/**
 * Node copies a body out of what its socket read, 64 KiB at a time, and leaves that to the collector: of 1 GiB it makes twenty full
 * collections. It is freed here, once the parser, whose listener comes first, has had it. Were it still in use, it would be empty and not
 * other bytes.
 */
function freeRead(body: IncomingMessage): void {
  const { socket } = body;
  const free = (read: Uint8Array): void => spent(owned(read));
  socket.on('data', free);
  // Before the socket goes to another request.
  body.once('end', () => socket.off('data', free));
}

function outputOf({ headers, body }: Answer): GetOutput {
  freeRead(body);
  const { 'content-length': length, 'content-range': ContentRange, etag: ETag } = headers;
  return {
    Body: body,
    ...(length === undefined ? {} : { ContentLength: Number(length) }),
    ...(ContentRange === undefined ? {} : { ContentRange }),
    ...(ETag === undefined ? {} : { ETag }),
  };
}

/**
 * GetObject by the address, the signature, the connections and the errors of the SDK, and without what it does besides: of 0.7 ms of a
 * processor for a small object that is 0.5 ms (SDK 3.1175, Node 24.21), and a listing reads thousands of manifests.
 * @param onHeaders is told the headers of every answer
 */
export async function makeGet(
  sdk: typeof Sdk,
  client: Sdk.S3Client,
  { bucket: Bucket, endpoint: Endpoint, region: Region, pathStyle: ForcePathStyle }: Settings,
  onHeaders: (headers: Readonly<Record<string, string>>) => void,
): Promise<Get> {
  const { url } = client.config.endpointProvider({ Bucket, Endpoint, Region, ForcePathStyle, UseFIPS: false, UseDualStack: false });
  const { protocol, hostname, port, host, pathname } = url;
  const signer = await client.config.signer();
  const above = pathname.replace(/\/$/, '');
  const place = { protocol, hostname, ...(port === '' ? {} : { port: Number(port) }), query: {} };
  return async ({ Key, Range }, abortSignal) => {
    const headers = { host, 'user-agent': 'bkp', ...(Range === undefined ? {} : { range: Range }) };
    const asked = { ...place, method: 'GET', path: `${above}/${pathOf(Key)}`, headers };
    const request = await signer.sign(asked, { signingRegion: Region, signingService: 's3' });
    const { response } = await client.config.requestHandler.handle(request, { abortSignal });
    onHeaders(response.headers);
    return response.statusCode < 300 ? outputOf(response) : refused(sdk, client, response);
  };
}
