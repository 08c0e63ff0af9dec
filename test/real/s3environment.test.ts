import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { cleanUp, makeConfig, runBkp, startRedis, startVersity } from './rig/index.ts';

afterAll(cleanUp);

let config: string;

beforeAll(async () => {
  const { endpoint, accessKey, secretKey, bucket } = await startVersity();
  const server = await startRedis();
  await server.cli('SET', 'kept', 'x');
  const store = { type: 's3', endpoint, bucket: await bucket(), accessKey, secretKey };
  config = (await makeConfig({ stores: { offsite: store }, redis: { app: server.entry() } })).path;
});

const NOBODY = 'http://127.0.0.1:1';

it.each<[string, Record<string, string>]>([
  ['an application id that is too long', { AWS_SDK_UA_APP_ID: 'x'.repeat(60) }],
  [
    'another account, place and proxy',
    {
      AWS_PROFILE: 'nobody',
      AWS_ACCESS_KEY_ID: 'other',
      AWS_SECRET_ACCESS_KEY: 'other',
      AWS_SESSION_TOKEN: 'other',
      AWS_REGION: 'mars',
      AWS_ENDPOINT_URL: NOBODY,
      AWS_ENDPOINT_URL_S3: NOBODY,
      AWS_CA_BUNDLE: '/nowhere',
      HTTP_PROXY: NOBODY,
      HTTPS_PROXY: NOBODY,
    },
  ],
  [
    'settings that are none',
    {
      AWS_S3_USE_ARN_REGION: 'maybe',
      AWS_S3_DISABLE_EXPRESS_SESSION_AUTH: 'maybe',
      AWS_DEFAULTS_MODE: 'maybe',
      AWS_MAX_ATTEMPTS: 'maybe',
      AWS_RETRY_MODE: 'maybe',
      AWS_AUTH_SCHEME_PREFERENCE: 'sigv4a',
      AWS_SIGV4A_SIGNING_REGION_SET: '*',
    },
  ],
])('what stands in the environment for other programs says nothing to a store: %s', async (_, env) => {
  const { code, stderr } = await runBkp(['backup', 'redis'], { config, env });
  expect({ code, said: stderr.split('\n').filter(line => line !== '' && !/^(start|done) /.test(line)) }).toEqual({ code: 0, said: [] });
});
