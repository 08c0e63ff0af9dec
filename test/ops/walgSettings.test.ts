import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parse } from 'yaml';
import { printed, type SettingsFormat } from '../../src/ops/walgSettings.ts';

const plain = { WALG_S3_PREFIX: 's3://b/a b', PGPORT: '5432' };
const secret = { PGPASSWORD: '${APP_PW}', AWS_SECRET_ACCESS_KEY: 'written out in the config' };

describe('bkp config walg', () => {
  it('an env file quotes for a shell, and has references for secrets', () => {
    expect(printed({ plain, secret }, 'env', 'walg-app').split('\n')).toEqual([
      "WALG_S3_PREFIX='s3://b/a b'",
      "PGPORT='5432'",
      'PGPASSWORD="${APP_PW}"',
      'AWS_SECRET_ACCESS_KEY="${AWS_SECRET_ACCESS_KEY}"',
    ]);
  });

  it('a ConfigMap holds no secret: those are named beside it, for envFrom', () => {
    const text = printed({ plain, secret }, 'configmap', 'walg-app');
    expect(parse(text)).toEqual({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'walg-app' }, data: plain });
    expect(text).toMatch(/# +- secretRef: \{ name: walg-app \}/);
    expect(text).toContain('#   PGPASSWORD: ${APP_PW}');
  });

  it('CF04: what is written out in the config is in no format', () => {
    const formats: SettingsFormat[] = ['env', 'yaml', 'configmap'];
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9$]{12,30}$/), fc.constantFrom(...formats), (value, format) => {
        expect(printed({ plain, secret: { PGPASSWORD: value } }, format, 'x')).not.toContain(value);
      }),
    );
    expect(parse(printed({ plain, secret }, 'yaml', 'x'))).toEqual({
      ...plain,
      PGPASSWORD: '${APP_PW}',
      AWS_SECRET_ACCESS_KEY: '${AWS_SECRET_ACCESS_KEY}',
    });
  });
});
