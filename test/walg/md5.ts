import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';

/** Bulk deletions carry Content-MD5 and no other checksum, as those of aws-sdk-go 1 do: Backblaze B2 takes nothing else. */
export function withContentMd5(client: S3Client): void {
  client.middlewareStack.add(
    (next, context) => args => {
      const request = args.request as { headers: Record<string, string>; body?: unknown };
      if (context.commandName === 'DeleteObjectsCommand') {
        for (const name of Object.keys(request.headers)) if (/^x-amz-(sdk-)?checksum/.test(name)) delete request.headers[name];
        request.headers['content-md5'] = createHash('md5')
          .update(request.body as Uint8Array)
          .digest('base64');
      }
      return next(args);
    },
    { step: 'build', name: 'contentMd5', priority: 'low' },
  );
}
