import { NAME } from '../config/fields.ts';
import { BkpError } from '../errors.ts';
import type { StoreChoice } from './text.ts';

const EXAMPLES = [
  'local=directory:/srv/backup',
  'hetzner=hetzner:BUCKET@fsn1',
  'offsite=b2:BUCKET@eu-central-003',
  'minio=s3:BUCKET@us-east-1,https://s3.example.org',
];

const bad = (text: string, why: string): BkpError =>
  new BkpError('usage', `"${text}" is no store: ${why}`, { next: EXAMPLES.map(each => `--store ${each}`) });

/**
 * Reads one store as it is typed: `NAME=directory:PATH`, `NAME=hetzner:BUCKET@REGION`, `NAME=b2:BUCKET@REGION` or
 * `NAME=s3:BUCKET@REGION,ENDPOINT`.
 * @throws BkpError('usage')
 */
export function parseStore(text: string): StoreChoice {
  const [, name, type, rest] = /^([^=:]+)=(directory|hetzner|b2|s3):(.+)$/.exec(text) ?? [];
  if (!name || !type || !rest) throw bad(text, 'it wants a name, a type (directory, hetzner, b2, s3) and a place');
  if (!NAME.test(name)) throw bad(text, `the name "${name}" has to be of a-z, 0-9 and -`);
  if (type === 'directory') {
    if (!rest.startsWith('/')) throw bad(text, `"${rest}" is no absolute path`);
    return { name, type, place: rest };
  }
  const [, place, region, endpoint] = /^([^@,]+)@([^,]+?)(?:,(https?:\/\/.+))?$/.exec(rest) ?? [];
  if (!place || !region) throw bad(text, 'a bucket wants its region behind an @');
  if ((type === 's3') !== (endpoint !== undefined))
    throw bad(text, type === 's3' ? 's3 wants the address of its endpoint' : `${type} knows its endpoint by its region`);
  return { name, type: type as StoreChoice['type'], place, region, ...(endpoint ? { endpoint } : {}) };
}
